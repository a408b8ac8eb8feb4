"""Commands that write, in a folder that may not be written and on a disk that takes no more."""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from seg_node.children import child_environment

_CHILD = """
import contextlib, io, json, sys
from seg_node.cli import main
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main(words)
    print(json.dumps([status, said.getvalue().splitlines()]), flush=True)
"""
_DROP_CAPABILITY = 24
_OF_FILES = (1, 2)
"""PR_CAPBSET_DROP of prctl(2); CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of capabilities(7)."""
_MOST_BYTES = 100


def as_a_user() -> None:
    """Let the permissions of files hold for root too, in what is started next."""
    system = ctypes.CDLL(None)
    for capability in _OF_FILES:
        system.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)


def full_disk() -> None:
    """Let no file take more than a few bytes: EFBIG, which is handled as ENOSPC is."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))


REASONS = {as_a_user: 'Permission denied', full_disk: 'File too large'}


def assert_one_line_each(
    commands: Mapping[str, Sequence[object]], folder: Path, hindrance: Callable[[], None]
) -> None:
    """Run `commands`, which write into `folder`, under a hindrance, one after the other.

    Each ends with status 1 and one line that says why, and leaves the folder as it was.
    """
    folder.mkdir()
    (folder / 'before').write_text('x')
    if hindrance is as_a_user:
        folder.chmod(0o555)
    words = [[str(word) for word in command] for command in commands.values()]
    done = subprocess.run(
        [sys.executable, '-c', _CHILD, json.dumps(words)],
        capture_output=True, text=True, check=False, env=child_environment(),
        preexec_fn=hindrance,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(words), done.stdout + done.stderr
    assert not done.stderr, done.stderr
    for name, (status, said) in zip(commands, answers):
        assert status == 1, (name, said)
        assert len(said) == 1, (name, said)
        assert said[0].startswith('error: '), (name, said)
        assert said[0].endswith(f': cannot be written: {REASONS[hindrance]}'), (name, said)
    left = {p for p in folder.rglob('*') if p.is_file()}
    assert left == {folder / 'before'}, left
