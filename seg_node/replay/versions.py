"""What produced a report: versions of the package and of the libraries that decide the figures."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

_LIBRARIES = ('numpy', 'opencv-python-headless', 'openvino', 'onnxruntime', 'rosbags')


def versions() -> dict[str, str]:
    """Name to version; libraries that are not installed are left out."""
    known = {'python': platform.python_version(), 'machine': platform.machine()}
    for name in ('seg_node', *_LIBRARIES):
        try:
            known[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return known


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
