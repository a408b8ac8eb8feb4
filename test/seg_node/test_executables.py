"""Ctrl-C and SIGTERM while a program still imports."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A shell starts background jobs with SIGINT ignored, and children inherit that.
LISTEN = 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler)'
NODE = 'from seg_node.executables import seg_node as main'
VERB = 'from seg_node.cli import main as cli; main = lambda: cli(["doctor"])'


@pytest.mark.parametrize(
    ('what', 'number', 'statuses'),
    [
        (NODE, signal.SIGINT, {0}),
        (NODE, signal.SIGTERM, {0}),
        (VERB, signal.SIGINT, {130}),
        (VERB, signal.SIGTERM, {-signal.SIGTERM}),
    ],
)
@pytest.mark.parametrize('delay_s', [0.05, 0.25])
def test_a_signal_during_imports_is_quiet(
    what: str, number: signal.Signals, statuses: set[int], delay_s: float
) -> None:
    code = f'import sys; {LISTEN}; {what}; print("up", flush=True); sys.exit(main())'
    process = subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == 'up\n'
    time.sleep(delay_s)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode in statuses, said
    assert 'Traceback' not in said and len(said.splitlines()) <= 1


def test_nothing_slow_is_imported_before_the_handlers_are_set() -> None:
    code = (
        'import sys\n'
        'import contextlib, importlib.util, pathlib, signal, threading, typing\n'  # site has them
        'before = set(sys.modules)\n'
        'import seg_node.executables\n'
        'print(*sorted(set(sys.modules) - before))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['seg_node', 'seg_node.executables']


def test_a_program_that_takes_ctrl_c_itself_is_left_alone() -> None:
    code = (
        'import signal\n'
        'from seg_node.executables import interrupt_ends\n'
        'mine = lambda *_: None\n'
        'signal.signal(signal.SIGINT, mine)\n'
        'with interrupt_ends(1):\n'
        '    assert signal.getsignal(signal.SIGINT) is mine\n'
        'assert signal.getsignal(signal.SIGINT) is mine\n'
        'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
        'with interrupt_ends(1):\n'
        '    pass\n'
        'assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)


def run_executable(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'seg_node.executables', *words],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ('words', 'answer'),
    [
        (('seg_node', '--help'), 'usage: python -m seg_node VERB'),
        (('seg_node', 'bench', '--help'), 'usage: python -m seg_node bench'),
        (('play', '--help'), 'usage: python -m seg_node play'),
        (('lane_map', '--help'), 'usage: python -m seg_node lane-map'),
        (('carla_source', '--help'), 'usage: executables.py --ros-args -p NAME:=VALUE'),
        (('carla_server', '--help'), 'usage: seg_node_sim.server'),
    ],
)
def test_help_is_help(words: tuple[str, ...], answer: str) -> None:
    """`ros2 run seg_node WORDS`: never a node that starts instead."""
    done = run_executable(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(answer)


def test_play_takes_a_file_as_the_verb_does() -> None:
    pytest.importorskip('rclpy')
    done = run_executable('play', 'no_such_recording.mp4')
    assert done.returncode == 1
    assert 'no_such_recording.mp4' in done.stderr and done.stderr.count('\n') == 1


def test_a_node_refuses_what_it_would_not_read() -> None:
    done = run_executable('carla_source', 'Town01')
    assert done.returncode == 2
    assert done.stderr.startswith("error: executables.py: got 'Town01'; usage: ")


def test_every_script_of_setup_py_is_one_of_these() -> None:
    from seg_node.executables import EXECUTABLES

    setup = (Path(__file__).resolve().parents[2] / 'setup.py').read_text(encoding='utf-8')
    scripts = re.findall(r"'(\w+) = seg_node\.executables:(\w+)'", setup)
    assert {name for name, _ in scripts} <= set(EXECUTABLES)
    assert all(name == function for name, function in scripts)
