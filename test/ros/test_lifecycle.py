"""The managed node: transitions, fixed parameters, QoS overrides, transports, sizes, load."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size

DOMAIN = 52


def red(width: int = 64, height: int = 32) -> np.ndarray:
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[..., 2] = 255
    return bgr


def connected(tester, **camera):
    tester.camera(**camera)
    return tester.listen(Image, '/seg_node/mask')


def test_autostart_off_waits_to_be_told_then_works_again_and_again(
    tester, seg_node, contract_model
):
    seg_node(model=str(contract_model), autostart=False)
    assert tester.state() == 'unconfigured'
    tester.wait(lambda: 'no frames are taken' in tester.verdict, 'a verdict')
    assert tester.set('output_size', 'network').successful  # nothing is loaded yet
    for _ in range(2):
        assert tester.change('configure')
        assert tester.state() == 'inactive'
        refused = tester.set('output_size', 'source')
        assert not refused.successful
        assert 'clean up first' in refused.reason
        for _ in range(2):
            assert tester.change('activate')
            masks = connected(tester)
            tester.warm_up(masks, lambda: tester.image(red(128, 64)))
            stamp = tester.send(tester.image(red(128, 64)))
            mask = masks.stamped(stamp)
            assert (mask.width, mask.height) == (64, 32)
            assert set(mask.data) == {2}
            assert tester.change('deactivate')
            assert tester.state() == 'inactive'
            tester.wait(
                lambda: not tester.node.count_subscribers('/image'), 'the subscription to go'
            )
            tester.forget(masks)
        assert tester.change('cleanup')
        assert tester.state() == 'unconfigured'
        tester.wait(
            lambda: not tester.node.count_publishers('/seg_node/mask'), 'the publishers to go'
        )
    assert not tester.change('activate')
    counts = tester.settled()
    assert counts['published'] >= 4
    assert tester.change('unconfigured_shutdown')
    assert tester.state() == 'finalized'


def test_a_cpu_that_is_not_there_is_refused_in_one_line(tester, seg_node, contract_model):
    seg_node(model=str(contract_model), cpu_affinity=[4095])
    assert tester.state() == 'unconfigured'
    problem = tester.wait(lambda: tester.diagnostics.get('last_problem'), 'the reason')
    assert problem.startswith('cpu_affinity: expected CPUs of ') and 'got 4095' in problem
    assert tester.set('cpu_affinity', sorted(os.sched_getaffinity(0))).successful
    assert tester.change('configure')


def test_another_model_after_a_cleanup(
    tester, seg_node, contract_model, make_contract_model, tmp_path
):
    seg_node(model=str(tmp_path / 'none.onnx'))
    assert tester.state() == 'unconfigured'
    other = make_contract_model(tmp_path / 'other.onnx', name='other', width=96)
    assert tester.set('model', str(other)).successful
    assert tester.change('configure')
    tester.wait(lambda: tester.diagnostics.get('network_size') == '96x32', 'the new size')
    assert 'last_problem' not in tester.diagnostics
    assert tester.change('cleanup')
    assert tester.set('model', str(contract_model)).successful
    assert tester.change('configure')
    tester.wait(lambda: tester.diagnostics.get('model') == 'green_red', 'the first model')


def test_compressed_frames(tester, seg_node, contract_model):
    seg_node(model=str(contract_model), image_transport='compressed')
    masks = connected(tester, kind=CompressedImage)

    def jpeg(data: bytes | None = None, kind: str = '.jpg') -> CompressedImage:
        message = tester.header(CompressedImage(format='jpeg'))
        found = cv2.imencode(kind, red(), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        message.data = found if data is None else data
        return message

    tester.warm_up(masks, jpeg)
    for kind in ('.jpg', '.png'):
        message = jpeg(kind=kind)
        mask = masks.stamped(tester.send(message))
        assert mask.header == message.header
        assert (mask.width, mask.height) == (64, 32)
        assert set(mask.data) == {2}
    before = tester.settled()
    whole = bytes(jpeg().data)
    for data in (b'', whole[: len(whole) // 2], b'no picture'):
        tester.send(jpeg(data))
        before = tester.settled(received=before['received'] + 1)
    assert before['rejected'] == 3
    assert before['rejected_truncated'] == 2
    assert before['rejected_encoding'] == 1
    assert masks.stamped(tester.send(jpeg()))


def test_network_sized_masks_have_a_camera_info_of_that_size(tester, seg_node, contract_model):
    seg_node(model=str(contract_model), output_size='network')
    masks = connected(tester)
    infos = tester.listen(CameraInfo, '/seg_node/camera_info')
    given = CameraInfo(width=640, height=480)
    given.k = [500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0]
    given.p = [480.0, 0.0, 310.0, -50.0, 0.0, 490.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    given.binning_x = given.binning_y = 2
    given.roi.x_offset, given.roi.y_offset, given.roi.width, given.roi.height = 40, 20, 400, 200
    tester.send_info(tester.header(given))

    def answered():
        masks.stamped(tester.send(tester.image(red(200, 100))))
        return infos.messages

    got = tester.wait(answered, 'camera_info')[-1]
    mask = masks.stamped(got.header.stamp)
    assert mask.header == got.header
    assert (got.width, got.height) == (mask.width, mask.height) == (64, 32)
    assert (got.binning_x, got.roi.width, got.roi.x_offset) == (0, 0, 0)
    # A point at (x, y, z) is seen at pixel u of the full picture, and there in the mask.
    x, y, z = 0.3, -0.1, 2.0
    u, v = 500 * x / z + 319.5, 510 * y / z + 239.5
    part_u, part_v = (u - 40 + 0.5) / 2 - 0.5, (v - 20 + 0.5) / 2 - 0.5
    expected = ((part_u + 0.5) * 64 / 200 - 0.5, (part_v + 0.5) * 32 / 100 - 0.5)
    k = got.k
    assert (k[0] * x / z + k[2], k[4] * y / z + k[5]) == pytest.approx(expected)
    exact = Intrinsics(
        Size(640, 480), tuple(given.k), tuple(given.p), (2, 2), (40, 20, 400, 200)
    ).resized(Size(64, 32))
    np.testing.assert_allclose(got.p, exact.p)


def reliabilities(tester, topic: str) -> list[ReliabilityPolicy]:
    found = tester.node.get_subscriptions_info_by_topic(topic)
    return [i.qos_profile.reliability for i in found if i.node_name == 'seg_node']


def test_qos_overrides_change_their_topic_and_no_other(tester, seg_node, contract_model):
    seg_node(
        model=str(contract_model),
        **{
            'qos_overrides./image.subscription.reliability': 'reliable',
            'qos_overrides./seg_node/mask.publisher.reliability': 'best_effort',
        },
    )
    masks = tester.listen(
        Image, '/seg_node/mask', QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    tester.camera()
    tester.wait(lambda: reliabilities(tester, '/image'), 'the subscription')
    assert reliabilities(tester, '/image') == [ReliabilityPolicy.RELIABLE]
    assert reliabilities(tester, '/camera_info') == [ReliabilityPolicy.BEST_EFFORT]
    publishers = {
        topic: tester.node.get_publishers_info_by_topic(topic)[0].qos_profile.reliability
        for topic in ('/seg_node/mask', '/seg_node/confidence')
    }
    assert publishers == {
        '/seg_node/mask': ReliabilityPolicy.BEST_EFFORT,
        '/seg_node/confidence': ReliabilityPolicy.RELIABLE,
    }
    tester.warm_up(masks)


def test_input_is_best_effort_unless_told_otherwise(tester, seg_node, contract_model):
    seg_node(model=str(contract_model))
    tester.wait(lambda: reliabilities(tester, '/image'), 'the subscription')
    assert reliabilities(tester, '/image') == [ReliabilityPolicy.BEST_EFFORT]


def test_nothing_is_painted_while_nobody_subscribes(tester, seg_node, contract_model, monkeypatch):
    """Counts calls of the real functions; the answers stay theirs."""
    from seg_node import pipeline
    from seg_node.ros.outputs import overlay

    calls: list[str] = []
    real = {'paint': overlay.paint, 'confidence': pipeline.confidence}
    monkeypatch.setattr(overlay, 'paint', lambda *a: calls.append('paint') or real['paint'](*a))
    monkeypatch.setattr(
        pipeline, 'confidence', lambda *a: calls.append('confidence') or real['confidence'](*a)
    )
    seg_node(model=str(contract_model))
    masks = connected(tester)
    tester.warm_up(masks)
    tester.settled()
    assert calls == []
    overlays = tester.listen(Image, '/seg_node/overlay')

    def painted():
        masks.stamped(tester.send(tester.image(red())))
        return overlays.messages

    tester.wait(painted, 'an overlay')
    assert set(calls) == {'paint'}


def test_under_load_the_newest_frame_wins_and_every_frame_is_accounted_for(
    tester, seg_node, make_contract_model, tmp_path
):
    # A network of 4 megapixels takes far longer than the camera's next frame.
    slow = make_contract_model(tmp_path / 'slow.onnx', width=2560, height=1600)
    seg_node(
        model=str(slow),
        threads=1,
        **{
            'qos_overrides./image.subscription.reliability': 'reliable',
            'qos_overrides./image.subscription.depth': 100,
        },
    )
    masks = connected(tester)
    tester.warm_up(masks)
    before = tester.settled()
    messages = [tester.image(red()) for _ in range(15)]
    for message in messages:
        tester.send(message)
    after = tester.settled(received=before['received'] + len(messages))
    assert after['superseded'] > before['superseded']
    assert after['rejected'] == before['rejected']
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in masks.messages]
    assert stamps == sorted(stamps)
    masks.stamped(messages[-1].header.stamp)  # the last frame is never the one that is dropped
    tester.wait(
        lambda: len(masks.messages) == after['published'] - before['published'], 'every mask'
    )


def test_sim_time_is_honoured(tester, seg_node, contract_model):
    """With use_sim_time a frame's age counts on /clock, which has not begun here."""
    seg_node(model=str(contract_model), use_sim_time=True, max_frame_age_ms=100.0)
    masks = connected(tester)
    tester.warm_up(masks, lambda: tester.image(red(), age_s=500.0))
    assert tester.settled()['stale'] == 0
