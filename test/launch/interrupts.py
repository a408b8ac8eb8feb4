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


def interrupt_starts(folder: Path, model: Path | str, times: int, seed: int) -> list[str]:
    """What was left over of `times` starts of carla.launch.py: a line each, with the moment."""
    draw = random.Random(seed)
    lines = []
    for turn in range(times):
        moment = draw.uniform(0.2, _LONGEST_S)
        port = free_port()
        with launched(folder, 'carla.launch.py', f'port:={port}', f'model:={model}') as running:
            time.sleep(moment)
            running.interrupt()
            running.end()
            running.left_behind()  # waits for those seen
        left = _of_port(port)
        lines += [f'{turn}: after {moment:.2f} s: {command}' for command in left]
    return lines


def _of_port(port: int) -> list[str]:
    """Command lines of processes that were started for this port."""
    commands = [process.info['cmdline'] or [] for process in psutil.process_iter(['cmdline'])]
    return [' '.join(words) for words in commands if str(port) in ' '.join(words)]


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        lines = interrupt_starts(Path(folder), '', times, seed=0)
    print('\n'.join(lines) or f'{times} interrupted, nothing left over')
    return 1 if lines else 0


if __name__ == '__main__':
    sys.exit(main())
