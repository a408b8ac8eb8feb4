"""CPUs and priority of a process: what is set, and what is refused in one line."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys

import pytest

from seg_node.children import child_environment
from seg_node.errors import ConfigError
from seg_node.scheduling import Scheduling

_PR_CAPBSET_DROP, _CAP_SYS_NICE = 24, 23  # prctl(2), capabilities(7)
SET = """
import os, sys, threading, time
from seg_node.scheduling import Scheduling
before = threading.Thread(target=time.sleep, args=(5,), daemon=True)
before.start()
{call}.apply()
after = threading.Thread(target=time.sleep, args=(5,), daemon=True)
after.start()
for thread in (before.native_id, after.native_id, 0):
    print(sorted(os.sched_getaffinity(thread)), os.getpriority(os.PRIO_PROCESS, thread))
"""


def run(call: str, *, without_rights: bool = False) -> subprocess.CompletedProcess[str]:
    def drop() -> None:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
        for limit in (resource.RLIMIT_NICE, resource.RLIMIT_RTPRIO):
            resource.setrlimit(limit, (0, 0))

    return subprocess.run(
        [sys.executable, '-c', SET.format(call=call)], capture_output=True, text=True,
        env=child_environment(), preexec_fn=drop if without_rights else None, timeout=60,
    )  # fmt: skip


def test_every_thread_runs_so_and_the_next_ones_too():
    cpu = max(os.sched_getaffinity(0))
    done = run(f'Scheduling((%d,), nice={os.getpriority(os.PRIO_PROCESS, 0) + 3})' % cpu)
    assert done.returncode == 0, done.stderr
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 3
    assert done.stdout.splitlines() == [f'[{cpu}] {nice}'] * 3


def test_nothing_is_touched_by_default():
    done = run('Scheduling()')
    line = f'{sorted(os.sched_getaffinity(0))} {os.getpriority(os.PRIO_PROCESS, 0)}'
    assert done.stdout.splitlines() == [line] * 3


def test_a_cpu_that_is_not_there():
    before = os.sched_getaffinity(0)
    with pytest.raises(ConfigError, match=r'^cpu_affinity: expected CPUs of [\d,-]+, got 4095$'):
        Scheduling((min(before), 4095)).apply()
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        ('Scheduling(nice=-5)', 'nice: -5 is not permitted: Permission denied; needs'),
        ('Scheduling(realtime_priority=10)', 'realtime_priority: 10 is not permitted: Operation'),
    ],
)
def test_what_is_not_permitted(call, words):
    done = run(call, without_rights=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'seg_node.errors.ConfigError: {words}')
