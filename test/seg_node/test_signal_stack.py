"""Ctrl-C after two models have come and gone: a handler runs, and nothing else happens."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import signal
from seg_node.model.loader import default_model, load_model
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
first = load_model()
second = load_model(default_model())
first.runner.run()
del first
second.runner.run()
del second
signal.raise_signal(signal.SIGINT)
assert seen == [1]
"""


def test_a_signal_after_two_models_have_gone_is_only_a_signal():
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, '')
