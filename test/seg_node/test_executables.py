"""Ctrl-C while a program still imports."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

# A shell starts background jobs with SIGINT ignored, and children inherit that.
LISTEN = 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler)'
NODE = 'from seg_node.executables import seg_node as main'
VERB = 'from seg_node.cli import main as cli; main = lambda: cli(["doctor"])'


@pytest.mark.parametrize(('what', 'statuses'), [(NODE, {0}), (VERB, {130})])
@pytest.mark.parametrize('delay_s', [0.05, 0.25])
def test_ctrl_c_during_imports_is_quiet(what: str, statuses: set[int], delay_s: float) -> None:
    code = f'import sys; {LISTEN}; {what}; print("up", flush=True); sys.exit(main())'
    process = subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == 'up\n'
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode in statuses, said
    assert 'Traceback' not in said and len(said.splitlines()) <= 1


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
