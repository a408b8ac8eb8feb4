"""A short, seeded part of every fuzz target; `make fuzz` runs the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent
_NAMES = sorted(p.stem.removeprefix('target_') for p in _FOLDER.glob('target_*.py'))


@pytest.mark.parametrize('name', _NAMES)
def test_target_survives(name):
    command = [sys.executable, str(_FOLDER / 'run.py'), name, '--seed', '7']
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f'{name}: ' in done.stdout and ' cases, ' in done.stdout


def test_failing_case_is_named_and_repeated(tmp_path):
    code = (
        'import sys; sys.path.insert(0, sys.argv[1])\n'
        'import run; from fuzzing import Target, simple\n'
        'def case(rng):\n'
        '    if rng.random() < 0.2: raise ValueError("spoiled")\n'
        'first = int(sys.argv[2])\n'
        'sys.exit(not run.run(Target("bad", simple(case)), 50, 1, first))\n'
    )

    def attempt(first):
        return subprocess.run(
            [sys.executable, '-c', code, str(_FOLDER), str(first)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = attempt(0)
    assert done.returncode == 1 and 'ValueError: spoiled' in done.stderr
    number = int(done.stdout.split('--first ')[1].split()[0])
    assert f'case {number} failed' in attempt(number).stdout


def test_case_that_hangs_ends_the_run():
    code = (
        'import sys, time; sys.path.insert(0, sys.argv[1])\n'
        'import run; from fuzzing import Target, simple\n'
        'run.run(Target("slow", simple(lambda rng: time.sleep(60)), slow_s=0.5), 1, 1, 0)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, str(_FOLDER)],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and 'Timeout' in done.stderr
