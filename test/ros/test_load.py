"""Load: four cameras faster than the network, busy cores, readers that stop reading.

The account adds up, the newest frame wins, and the node answers while it infers.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

from seg_node.ros.frame_order import FrameOrder
from seg_node.ros.promptness import Promptness

DOMAIN = 60
NAMES = ('front', 'rear', 'left', 'right')
ENDS = ('published', 'superseded', 'stale', 'rejected', 'unread')
FRAMES = 150
READER = 'seg_node.ros.slow_reader'


@pytest.fixture
def busy():
    """Two processes that take all they are let."""
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


class Accounts:
    """The counts of each camera, as the diagnostics say them."""

    def __init__(self, tester) -> None:
        self.of: dict[str, dict[str, int]] = {}
        tester.node.create_subscription(DiagnosticArray, '/diagnostics', self._on, 10)

    def _on(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            for name in NAMES:
                if name in status.name and status.name.endswith(': segmentation'):
                    self.of[name] = {k: int(values[f'frames_{k}']) for k in ('received', *ENDS)}

    def closed(self) -> bool:
        return len(self.of) == len(NAMES) and all(
            counts['received'] == sum(counts[end] for end in ENDS) > FRAMES // 2
            for counts in self.of.values()
        )


def test_four_cameras_busy_cores_and_readers_that_do_not_read(
    tester, seg_node, processes, make_contract_model, tmp_path, busy
):
    # Several times longer on each frame than until the next ones come.
    model = make_contract_model(tmp_path / 'slow.onnx', width=1280, height=800)
    reliable = {
        f'qos_overrides./{name}/image.subscription.{key}': value
        for name in NAMES
        for key, value in (('reliability', 'reliable'), ('depth', 100))
    }
    seg_node(model=str(model), cameras=list(NAMES), threads=1, **reliable)
    frozen, slow = (
        processes(READER, ['--ros-args', '-r', 'mask:=/seg_node/front/mask', '-r', f'__node:={n}'])
        for n in ('frozen', 'slow')
    )
    orders, senders = {}, {}
    for name in NAMES:
        orders[name] = order = FrameOrder()
        senders[name] = tester.node.create_publisher(Image, f'/{name}/image', 100)
        tester.node.create_subscription(
            Image, f'/seg_node/{name}/mask', lambda m, order=order: order.mask(key(m)), 100
        )
        tester.wait(senders[name].get_subscription_count, f'subscription of {name}')
    masks = '/seg_node/front/mask'
    tester.wait(lambda: tester.node.count_subscribers(masks) == 3, 'the readers')
    accounts, prompt = Accounts(tester), Promptness(tester.node, '/seg_node', 0.1)
    pixels = np.full((32, 64, 3), (0, 0, 255), np.uint8)

    def send() -> dict[str, tuple]:
        last = {}
        for name in NAMES:
            message = tester.image(pixels)
            message.header.frame_id = name
            last[name] = key(message)
            orders[name].frame(last[name])
            senders[name].publish(message)
        return last

    def everybody_has_masks() -> bool:
        send()
        time.sleep(0.1)
        return all(order.masks for order in orders.values())

    tester.wait(everybody_has_masks, 'first masks')
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(FRAMES):
            send()
            time.sleep(0.01)
        tester.wait(accounts.closed, f'accounts that add up, got {accounts.of}')
        # No later frame supersedes these: each has its mask, whoever does not read.
        newest = {name: order.frames - 1 for name, order in orders.items()}
        tester.wait(
            lambda: all(orders[name].newest == newest[name] for name in NAMES), 'the newest masks'
        )
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    for name, order in orders.items():
        order.close()
        assert order.violations == [], name
        assert accounts.of[name]['superseded'] > 0, name
        assert accounts.of[name]['rejected'] == 0, name
        assert accounts.of[name]['published'] == order.masks, name
    answers = prompt.figures()['service']
    assert answers['p50'] > 0  # it has answered while it inferred: a hung executor has none
    assert slow.process.poll() is None


def key(message: Image) -> tuple[str, int, int]:
    stamp = message.header.stamp
    return message.header.frame_id, stamp.sec, stamp.nanosec
