"""The soak: its account is right, it sees what it is there for, and the whole of it runs."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seg_node.children import child_environment
from seg_node.ros.frame_order import FrameOrder
from seg_node.soak.held import ProcessUse, growth, leaks


def test_masks_of_frames_in_order_are_no_violation():
    order = FrameOrder()
    for stamp in range(1000):
        order.frame(stamp)
        if stamp % 3 == 0:
            order.mask(stamp)
    order.close()
    assert (order.frames, order.masks, order.violations) == (1000, 334, [])


def test_a_mask_may_be_heard_before_its_frame():
    order = FrameOrder()
    order.mask(5)
    order.frame(5)
    order.close()
    assert not order.violations


def test_a_mask_behind_another_or_twice_is_one():
    order = FrameOrder()
    for stamp in range(4):
        order.frame(stamp)
    for stamp in (0, 2, 1, 3, 3):
        order.mask(stamp)
    assert order.violations == [
        'mask of 1: frame 1 after frame 2',
        'mask of 3: frame 3 after frame 3',
    ]


def test_masks_of_frames_before_the_source_was_matched_are_none():
    order = FrameOrder()
    order.joined()
    for stamp in range(3):
        order.mask(stamp)
    for stamp in range(4, 8):
        order.frame(stamp)
        order.mask(stamp - 1)  # 3 was sent before, and is at work in the node
    order.close()
    assert not order.violations
    order.mask('nobody')
    order.close()
    assert order.violations == ['mask of nobody: no such frame was sent']
    order.joined()
    order.frame(4)  # the source starts again
    order.mask(4)
    order.mask('nobody')
    order.close()
    assert len(order.violations) == 2


def test_a_mask_of_no_frame_is_one_as_soon_as_its_frame_cannot_come():
    order = FrameOrder()
    order.mask('nobody')
    for stamp in range(700):
        order.frame(stamp)
    order.mask('late')
    assert order.violations == ['mask of nobody: no such frame was sent']
    order.close()
    assert order.violations[1:] == ['mask of late: no such frame was sent']


def test_a_clock_that_stands_still_gives_each_frame_its_mask_and_no_more():
    order = FrameOrder()
    for _ in range(3):
        order.frame(0)
    for _ in range(4):
        order.mask(0)
    assert order.violations == ['mask of 0: frame 2 after frame 2']


def test_a_source_that_starts_again_may_repeat_stamps():
    order = FrameOrder()
    for _ in range(2):
        for stamp in range(50):
            order.frame(stamp)
            order.mask(stamp)
    assert not order.violations


def test_what_a_process_holds_is_that_of_the_system(tmp_path):
    before = ProcessUse.by(os.getpid(), 0.0)
    files = [(tmp_path / str(i)).open('w') for i in range(5)]
    after = ProcessUse.by(os.getpid(), 1.0)
    assert after.descriptors - before.descriptors == 5
    assert before.memory_mb > 10 and before.threads >= 1
    for file in files:
        file.close()


def test_growth_is_told_from_noise():
    steady = [ProcessUse(float(i), 100.0 + i % 2, 30, 9) for i in range(60)]
    leaking = [ProcessUse(float(i), 100.0 + i, 30 + i // 10, 9) for i in range(60)]
    assert abs(growth(steady)['memory_grew_mb']) < 1.0
    assert growth(leaking)['memory_grew_mb'] == pytest.approx(59.0)
    assert growth(leaking)['descriptors_grew'] == 5
    assert growth(steady[:2]) == {}


def test_what_a_part_is_there_to_hold_is_no_growth():
    held = ProcessUse.by(os.getpid(), 0.0)
    assert held.memory_mb - ProcessUse.by(os.getpid(), 0.0, 4.0).memory_mb == pytest.approx(
        4.0, abs=0.5
    )


def test_shared_memory_of_others_is_not_counted():
    with mmap.mmap(-1, 64 << 20) as shared:  # as a segment of DDS
        before = ProcessUse.by(os.getpid(), 0.0)
        for page in range(0, 64 << 20, 4096):
            shared[page] = 1
        assert ProcessUse.by(os.getpid(), 0.0).memory_mb - before.memory_mb < 10.0


def test_every_part_is_judged_by_its_growth():
    leaking = [ProcessUse(float(i), 100.0 + i, 30 + i // 10, 9) for i in range(70)]
    assert leaks('source 2', growth(leaking), leaking) == [
        'source 2 has grown by 69 MB',
        'descriptors of source 2: 6 more than at first',
    ]
    steady = [ProcessUse(float(i), 100.0 + i % 2, 30 + i % 3, 9) for i in range(70)]
    assert not leaks('server 1', growth(steady), steady)
    assert not leaks('server 1', growth(leaking[:50]), leaking[:50])  # too short to tell


@contextlib.contextmanager
def sleeper():
    process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
    yield process
    process.terminate()
    process.wait(10)


def test_a_frozen_part_ends_nevertheless():
    pytest.importorskip('rclpy')
    from seg_node.soak.parts import SystemPart

    part = SystemPart('reader', sleeper)
    part.start()
    part.freeze()
    assert not part.ended and part.held(0.0) is not None
    assert 0.0 <= part.cpu_s() < 60.0
    part.stop()
    assert part.ended


def soak(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', 'seg_node', 'soak', '--warm-up', '2', *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment(),
        start_new_session=True,
    )  # fmt: skip


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    pytest.importorskip('rclpy')
    pytest.importorskip('carla')
    return tmp_path / 'soak.json'


@pytest.mark.timeout(400)  # the server compiles its renderer where nobody has before
def test_seconds_with_faults_end_without_a_violation(figures):
    given = ('--minutes', '0.2', '--fault-every', '3', '--stress', '1', '--json', str(figures))
    with soak(*given) as process:
        out, err = process.communicate(timeout=390)
    assert process.returncode == 0, out + err
    told = json.loads(figures.read_text())
    assert not told['violations'] and not told['interrupted']
    assert told['masks'] > 5 and told['frames_sent'] >= told['masks']
    assert sum(told['faults'].values()) >= 1
    counts = told['node_counts']
    assert counts['frames_received'] == sum(counts.values()) - counts['frames_received'] > 0
    assert 'violations' in out
    assert told['promptness_ms']['service']['p50'] > 0
    for name, cpu in told['masks_again_cpu_s'].items():
        assert cpu['p50'] > 0.1, name
    assert told['promptness_ms']['timer']['p99'] >= 0


@pytest.mark.timeout(200)
def test_ctrl_c_ends_it_with_what_there_is(figures):
    with soak('--minutes', '60', '--fault-every', '600', '--json', str(figures)) as process:
        time.sleep(20)  # starting or running: both must end cleanly
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert 'Traceback' not in err
