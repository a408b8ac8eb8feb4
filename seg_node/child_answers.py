"""One question to a process of its own, one answer: for measurements that must not share memory,
threads or caches with anything else. Both are JSON: an argument, and the last line printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from seg_node.children import child_environment
from seg_node.errors import SegNodeError, cause_line, last_line


def ask(module: str, question: dict[str, Any], timeout_s: float | None = None) -> dict[str, Any]:
    """What `python -m module` answers. Raises `SegNodeError` with what it said last."""
    command = [sys.executable, '-m', module, json.dumps(question)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=child_environment(),
        )
    except subprocess.TimeoutExpired:
        raise SegNodeError(f'{module}: no answer within {timeout_s:g} s') from None
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = last_line(done.stderr) or 'no answer'
        raise SegNodeError(f'{module}: exit status {done.returncode}: {said[:200]}')
    reply: dict[str, Any] = json.loads(lines[-1])
    if 'error' in reply:
        raise SegNodeError(reply['error'])
    return reply


def answer(work: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """The other side: do the `work` that argv asks for and print its answer; 0 in any case."""
    try:
        result = work(json.loads(sys.argv[1]))
    except Exception as error:  # runtimes share no base of their exceptions
        result = {'error': cause_line(error)}
    print(json.dumps(result))
    return 0


def run_check(check: Callable[..., object], arguments: Sequence[str] | None = None) -> int:
    """Run `check` with its arguments as one JSON object; the exit status, with a line where 1."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        check(**json.loads(words[0]))
    except SegNodeError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0
