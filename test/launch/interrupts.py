"""Ctrl-C at random moments of a start, and what is left over.

python test/launch/interrupts.py 50
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import psutil
from launched import free_port, launched

_LONGEST_S = 20.0
"""A start takes about so long on a busy machine, and half of it on a quiet one."""
_GRACE_S = 10.0


def interrupt_starts(folder: Path, model: Path | str, times: int, seed: int) -> list[str]:
    """What was left over of `times` starts of carla.launch.py: a line each, with the moment."""
    draw = random.Random(seed)
    lines = []
    for turn in range(times):
        moment = draw.uniform(0.2, _LONGEST_S)
        own = folder / f'start_{turn}'
        own.mkdir()
        arguments = ('carla.launch.py', f'port:={free_port()}', f'model:={model}')
        with launched(own, *arguments) as running:
            time.sleep(moment)
            running.interrupt()
            running.end()
        left = _left_of(own)
        lines += [f'{turn}: after {moment:.2f} s: {command}' for command in left]
    return lines


def _left_of(folder: Path) -> list[str]:
    """Command lines of what still runs of a launch, a while after its end.

    Every process of it has inherited the folder of its logs.
    """
    end = time.monotonic() + _GRACE_S
    while left := [process for process in psutil.process_iter() if _is_of(process, folder)]:
        if time.monotonic() > end:
            return [' '.join(process.cmdline()) for process in left]
        time.sleep(0.2)
    return []


def _is_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get('ROS_LOG_DIR', '').startswith(f'{folder}/')
    except psutil.Error:  # it has ended, or is somebody else's
        return False


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        lines = interrupt_starts(Path(folder), '', times, seed=0)
    print('\n'.join(lines) or f'{times} interrupted, nothing left over')
    return 1 if lines else 0


if __name__ == '__main__':
    sys.exit(main())
