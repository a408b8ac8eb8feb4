"""What a node that was killed leaves in shared memory, and what the next one makes of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from seg_node.shared_memory import clear_dead, own_port
from seg_node.transport import PROFILE_VARIABLE, inspect, profile_path

DOMAIN = 59
NODE = 'seg_node.ros.node'
FIRST, LAST = 7400 + 250 * DOMAIN, 7400 + 250 * DOMAIN + 249
HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print('held', flush=True)
time.sleep(600)
"""


def locks(pid: int) -> set[str]:
    """Names of the ports and segments whose lock files a process has open."""
    names = set()
    for path in Path(f'/proc/{pid}/fd').iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            names.add(path.readlink().name)
    return {name[:-3] for name in names if name.startswith('fastdds_') and name.endswith('_el')}


def held_by_others() -> set[str]:
    """What any living process holds: ports of no domain are shared with tests beside this one."""
    names: set[str] = set()
    for folder in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            names |= locks(int(folder.name))
    return names


def data_ports(names: set[str]) -> set[int]:
    numbers = {int(name.removeprefix('fastdds_port')) for name in names if '_port' in name}
    return {number for number in numbers if FIRST <= number <= LAST}


def test_a_node_after_a_killed_one_clears_up_and_has_a_port_of_its_own(
    tester, processes, ros_tools
):
    arguments = ros_tools.arguments(autostart='false')
    first = processes(NODE, arguments)
    first.wait_line('MiB of shared memory')
    left = locks(first.process.pid)
    port = data_ports(left)
    assert len(port) == 1
    assert len(left) >= 3  # ports and segments
    time.sleep(2.1)  # younger locks are taken for those of processes that are just starting
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    assert all(Path('/dev/shm', name).exists() for name in left)
    mine = locks(os.getpid())
    second = processes(NODE, arguments)
    second.wait_line('MiB of shared memory')
    held = locks(second.process.pid)
    again = data_ports(held)
    assert len(again) == 1
    assert again.isdisjoint(port)
    for name in left - held - held_by_others():
        assert not Path('/dev/shm', f'{name}_el').exists(), name
    assert any(not Path('/dev/shm', name).exists() for name in left)  # the segments, 64 MiB
    assert mine
    assert all(Path('/dev/shm', name).exists() for name in mine)
    assert second.interrupt() == 0


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    old = time.time() - 60
    for name in ('0123456789abcdef', 'port7411', 'fedcba9876543210'):
        (tmp_path / f'fastdds_{name}').write_bytes(bytes(100))
        (tmp_path / f'fastdds_{name}_el').touch()
        os.utime(tmp_path / f'fastdds_{name}_el', (old, old))
    (tmp_path / 'sem.fastdds_port7411_mutex').touch()
    (tmp_path / 'fastdds_other_el').touch()
    (tmp_path / 'fastdds_port7413_el').touch()  # just made
    return tmp_path


def test_what_a_living_process_has_locked_stays(shared):
    lock = shared / 'fastdds_fedcba9876543210_el'
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(lock)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == 'held\n'
        assert clear_dead(shared) == 2
        kept = {path.name for path in shared.iterdir()}
        alive = {'fastdds_fedcba9876543210', 'fastdds_fedcba9876543210_el'}
        assert kept == alive | {'fastdds_other_el', 'fastdds_port7413_el'}
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert clear_dead(shared) == 1
    assert clear_dead(shared / 'nowhere') == 0


def test_a_profile_of_the_users_is_used_as_it_is(tmp_path, monkeypatch):
    profile = tmp_path / 'mine.xml'
    profile.write_text(profile_path(free=1 << 30).read_text())
    monkeypatch.setenv(PROFILE_VARIABLE, str(profile))
    with own_port():
        assert os.environ[PROFILE_VARIABLE] == str(profile)


@pytest.mark.parametrize('domain', ['0', '232', ''])
def test_the_shipped_one_is_told_by_its_own_name(monkeypatch, domain):
    shipped = str(profile_path(free=1 << 30))
    monkeypatch.setenv('ROS_DOMAIN_ID', domain)
    monkeypatch.setenv(PROFILE_VARIABLE, shipped)
    offsets = set()
    for _ in range(20):
        with own_port():
            copy = Path(os.environ[PROFILE_VARIABLE])
            text = copy.read_text()
            assert shipped in inspect(free=1 << 30).message
            offsets.add(int(text.partition('<offsetd3>')[2].partition('<')[0]))
        assert os.environ[PROFILE_VARIABLE] == shipped
        assert not copy.exists()
    assert len(offsets) > 5
    assert all(11 < offset < 250 and offset % 2 for offset in offsets)


def test_a_domain_that_is_none_is_for_rclpy_to_refuse(monkeypatch):
    shipped = str(profile_path(free=1 << 30))
    monkeypatch.setenv(PROFILE_VARIABLE, shipped)
    for domain in ('500', 'x'):
        monkeypatch.setenv('ROS_DOMAIN_ID', domain)
        with own_port():
            assert os.environ[PROFILE_VARIABLE] == shipped


def test_where_nothing_can_be_written_the_profile_is_used_as_it_is(monkeypatch, tmp_path):
    shipped = str(profile_path(free=1 << 30))
    monkeypatch.setenv(PROFILE_VARIABLE, shipped)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'nowhere'))
    with own_port():
        assert os.environ[PROFILE_VARIABLE] == shipped
