"""Checks that need no ROS graph: versions, CPU, shared memory, transport, model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from seg_node.doctor.finding import Finding
from seg_node.errors import SegNodeError
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions, default_cache_dir
from seg_node.ros.dds import inspect

_PACKAGES = ('numpy', 'opencv-python-headless', 'openvino', 'onnxruntime', 'rosbags', 'pydantic')
_FAST_FLAGS = ('avx512_vnni', 'avx_vnni', 'amx_int8', 'asimddp')
_SHM_NEEDED = 48 * 1024 * 1024
_SHM_WANTED = 512 * 1024 * 1024


def check_machine(model: Path | None) -> Iterator[Finding]:
    """Every check in turn; none raises."""
    yield _versions()
    yield _cpu()
    yield _shared_memory()
    yield _transport()
    yield _ros()
    yield _cv_bridge()
    yield _model(model)


def _versions() -> Finding:
    found = [f'Python {sys.version.split()[0]}']
    missing = []
    for package in _PACKAGES:
        try:
            found.append(f'{package} {importlib.metadata.version(package)}')
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if missing and importlib.util.find_spec('cv2') and missing == ['opencv-python-headless']:
        missing = []  # the distribution's own OpenCV
    if missing:
        advice = "pip install 'seg_node[runtime]'"
        return Finding('warning', 'packages', f'missing: {", ".join(missing)}', advice)
    return Finding('ok', 'packages', ', '.join(found))


def _cpu() -> Finding:
    flags = _cpu_flags()
    cores = len(os.sched_getaffinity(0))
    fast = [flag for flag in _FAST_FLAGS if flag in flags]
    if not fast:
        return Finding(
            'warning',
            'CPU',
            f'{cores} cores without int8 dot products ({", ".join(_FAST_FLAGS)})',
            'int8 gains little here; measure with: python -m seg_node bench --precision int8 bf16',
        )
    return Finding('ok', 'CPU', f'{cores} cores, int8 by {", ".join(fast)}')


def _cpu_flags() -> set[str]:
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8')
    except OSError:
        return set()
    for line in text.splitlines():
        if line.startswith(('flags', 'Features')):
            return set(line.partition(':')[2].split())
    return set()


def _shared_memory() -> Finding:
    try:
        free = shutil.disk_usage('/dev/shm').free
    except OSError:
        return Finding('note', 'shared memory', 'no /dev/shm here: frames go over UDP')
    message = f'{free >> 20} MiB free in /dev/shm'
    if free < _SHM_NEEDED:
        advice = 'a container wants --shm-size=1g (Docker) to pass camera frames'
        return Finding('error', 'shared memory', message, advice)
    if free < _SHM_WANTED:
        return Finding('warning', 'shared memory', f'{message}: enough for 1280x720', advice)
    return Finding('ok', 'shared memory', message)


def _transport() -> Finding:
    transport = inspect()
    if transport.fit:
        return Finding('ok', 'DDS', transport.message)
    # Our own nodes take the shipped profile by themselves; the other end does not.
    return Finding('warning', 'DDS', transport.message, 'set it where the camera driver runs too')


def _ros() -> Finding:
    if importlib.util.find_spec('rclpy') is None:
        advice = 'source a ROS 2 distribution, or pip install "seg_node[ros]"'
        return Finding('note', 'ROS 2', 'rclpy is not importable: offline commands only', advice)
    distribution = os.environ.get('ROS_DISTRO', 'from PyPI')
    return Finding('ok', 'ROS 2', f'rclpy ({distribution})')


def _cv_bridge() -> Finding:
    from seg_node import bridge

    if bridge.find() is not None:
        return Finding('ok', 'cv_bridge', "the distribution's own, for the uncommon encodings")
    if importlib.util.find_spec('cv_bridge') is None:
        return Finding('ok', 'cv_bridge', 'not installed: OpenCV converts the uncommon encodings')
    return Finding(
        'note',
        'cv_bridge',
        'not usable (a port of ROS 1, or built for another numpy): OpenCV converts instead',
    )


def _model(path: Path | None) -> Finding:
    try:
        loaded = load_model(path, RunOptions(cache_dir=default_cache_dir()))
    except SegNodeError as error:
        return Finding('error', 'model', str(error), 'give a model with --model')
    runner = loaded.runner
    return Finding(
        'ok',
        'model',
        f'{runner.spec.name}, {runner.backend} {runner.precision}, {runner.network}, '
        f'loaded in {loaded.load_s:.2f} s',
    )
