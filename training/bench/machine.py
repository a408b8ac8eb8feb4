"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

FLAGS = ('avx512_vnni', 'avx512_bf16', 'avx_vnni', 'amx_int8', 'amx_bf16')
PACKAGES = (
    *('torch', 'torchvision', 'onnxruntime', 'openvino', 'nncf', 'torchao', 'ai-edge-litert'),
    *('ncnn', 'segmentation-models-pytorch', 'ultralytics'),
)


def machine() -> dict[str, Any]:
    """Processor, cores, the instructions that matter, and versions of what was run."""
    fields: dict[str, str] = {}
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(':')
            fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get('flags', '').split())
    return {
        'processor': fields.get('model name', platform.processor()),
        'family': f'family {fields.get("cpu family", "?")} model {fields.get("model", "?")}',
        'cores': len(os.sched_getaffinity(0)),
        'instructions': [flag for flag in FLAGS if flag in flags],
        'python': platform.python_version(),
        'packages': {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'not installed'
