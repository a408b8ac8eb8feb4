"""A child that works is waited for, one that stands still is not."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from seg_node.children import Patience, processor_s

pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='/proc is of Linux')


def child(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, '-S', '-c', program])


def test_a_child_that_stands_still_is_given_up():
    with child('import time; time.sleep(60)') as process:
        patience = Patience(process.pid, 0.3)
        begun = time.monotonic()
        while not patience.over:
            time.sleep(0.02)
        assert time.monotonic() - begun >= 0.3
        assert processor_s(process.pid) < 0.3
        process.kill()


def test_a_child_that_works_is_waited_for_until_it_has_worked_too_long():
    with child('while True: pass') as process:
        patience = Patience(process.pid, 0.5)
        while not patience.over:
            time.sleep(0.02)
        assert processor_s(process.pid) > 0.5
        process.kill()


def test_what_is_no_process_uses_nothing():
    assert processor_s(1 << 30) == 0.0
