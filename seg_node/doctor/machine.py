"""Checks that need no ROS graph: CPU, shared memory, transport, model."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from seg_node.errors import SegNodeError
from seg_node.finding import Finding
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions, default_cache_dir
from seg_node.prerequisites import VIEW, install_command, no_rerun
from seg_node.transport import ROOMY, SHARED_MEMORY, free_shared_memory, inspect
from seg_node.tuning import available_cores, cpu_flags

_FAST_FLAGS = ('avx512_vnni', 'avx_vnni', 'amx_int8', 'asimddp')
_SHM_NEEDED = 48 * 1024 * 1024


def check_machine(model: Path | None) -> Iterator[Finding]:
    """Every check in turn; none raises."""
    yield _cpu()
    yield _shared_memory()
    yield _transport()
    yield _ros()
    if importlib.util.find_spec('rclpy') is not None:
        yield _viewer()
    yield _cv_bridge()
    yield _model(model)


def _cpu() -> Finding:
    flags, cores = cpu_flags(), available_cores()
    fast = [flag for flag in _FAST_FLAGS if flag in flags]
    if not fast:
        return Finding(
            'warning',
            'CPU',
            f'{cores} cores without int8 dot products ({", ".join(_FAST_FLAGS)})',
            'int8 gains little here; measure with: python -m seg_node bench --precision int8 bf16',
        )
    return Finding('ok', 'CPU', f'{cores} cores, int8 by {", ".join(fast)}')


def _shared_memory() -> Finding:
    free = free_shared_memory()
    if not SHARED_MEMORY.is_dir():
        return Finding('note', 'shared memory', 'no /dev/shm here: frames go over UDP')
    message = f'{free >> 20} MiB free in /dev/shm'
    advice = 'a container wants --shm-size=1g (Docker) to pass camera frames'
    if free < _SHM_NEEDED:
        return Finding('error', 'shared memory', message, advice)
    if free < ROOMY:
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
        advice = f'source a ROS 2 distribution, or {install_command("ros")}'
        return Finding('note', 'ROS 2', 'rclpy is not importable: offline commands only', advice)
    distribution = os.environ.get('ROS_DISTRO', 'from PyPI')
    return Finding('ok', 'ROS 2', f'rclpy ({distribution})')


def _viewer() -> Finding:
    """RViz or Foxglove's bridge in the sourced workspaces, or Rerun here."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    index = 'share/ament_index/resource_index/packages'
    tools = [
        name
        for name in ('rviz2', 'foxglove_bridge')
        if any((Path(prefix) / index / name).exists() for prefix in prefixes if prefix)
    ]
    tools += [] if no_rerun() else ['rerun']
    if tools:
        return Finding('ok', 'viewer', ', '.join(tools))
    advice = f'{install_command(VIEW)} (for view)'
    if distro := os.environ.get('ROS_DISTRO'):
        advice = f'sudo apt install ros-{distro}-rviz2 (or ros-{distro}-foxglove-bridge), {advice}'
    return Finding('note', 'viewer', 'neither RViz, Foxglove nor Rerun is installed', advice)


def _cv_bridge() -> Finding:
    from seg_node.images import bridge

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
