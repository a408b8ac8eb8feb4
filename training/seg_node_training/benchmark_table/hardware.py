"""What the figures were measured on."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from seg_node.tuning import available_cores, cpu_flags, cpu_info

FLAGS = ('avx512_vnni', 'avx512_bf16', 'avx_vnni', 'amx_int8', 'amx_bf16')
PACKAGES = (
    *('torch', 'torchvision', 'onnxruntime', 'openvino', 'nncf', 'torchao', 'ai-edge-litert'),
    *('ncnn', 'segmentation-models-pytorch', 'ultralytics'),
)


def machine() -> dict[str, Any]:
    """Processor, cores, the instructions that matter, and versions of what was run."""
    fields, flags = cpu_info(), cpu_flags()
    return {
        'processor': fields.get('model name', platform.processor()),
        'family': f'family {fields.get("cpu family", "?")} model {fields.get("model", "?")}',
        'cores': available_cores(),
        'instructions': [flag for flag in FLAGS if flag in flags],
        'python': platform.python_version(),
        'packages': {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'not installed'
