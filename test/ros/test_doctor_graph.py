"""`python -m seg_node doctor --topic`: what it says of a camera on the graph."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import CameraInfo

DOMAIN = 58


@pytest.fixture
def doctor(processes, contract_model, tmp_path):
    """Starts the verb on a topic; gives the process and what reads its findings, in order."""
    path = tmp_path / 'findings.json'

    def start(topic: str):
        arguments = ['doctor', '--topic', topic, '--seconds', '4', '--model', str(contract_model)]
        process = processes('seg_node', [*arguments, '--json', str(path)])
        return process, lambda: [
            (f['level'], f['what'], f['message']) for f in json.loads(path.read_text())
        ]

    return start


def test_a_camera_with_its_calibration(tester, doctor):
    process, findings = doctor('/image')
    tester.camera()
    for _ in range(3):
        tester.send(tester.image(np.zeros((24, 32, 3), np.uint8)))
        tester.send_info(tester.header(CameraInfo(width=16, height=12)))
    assert process.status() == 0, process.output
    said = findings()
    assert ('ok', '/image', '1 publisher(s): /tester reliable') in said
    assert ('ok', '/image', '32x24 bgr8, step 96') in said
    assert ('warning', '/camera_info', '16x12, the image is 32x24') in said


def test_a_topic_that_nobody_publishes(tester, doctor):
    process, findings = doctor('/front/image')
    assert process.status() == 1
    level, topic, message = findings()[-1]
    assert (level, topic) == ('error', '/front/image')
    assert message.startswith('no publisher; there is no image topic at all')


def test_ctrl_c_ends_it(tester, doctor):
    process, _ = doctor('/image')
    tester.camera()
    assert process.interrupt() == 130
    assert 'Traceback' not in process.output
