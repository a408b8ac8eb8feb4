"""What breaks around the node and in it: said in one line, counted, and the node goes on."""

from __future__ import annotations

import signal
import threading

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import Trigger

from seg_node.errors import FrameError
from seg_node.ros import engine as engine_module
from seg_node.ros import frame_loop
from seg_node.ros import node as node_module
from seg_node.ros.clouds import from_cloud, to_cloud

DOMAIN = 56
NODE = 'seg_node.ros.node'
RELIABLE = {'qos_overrides./image.subscription.reliability': 'reliable'}


def picture() -> np.ndarray:
    return np.full((32, 64, 3), (0, 0, 255), np.uint8)


def test_nothing_is_inferred_until_somebody_reads(tester, seg_node, contract_model):
    seg_node(model=str(contract_model), **RELIABLE)
    tester.camera()
    for _ in range(4):
        tester.send(tester.image(picture()))
    counts = tester.settled(received=4)
    assert counts['unread'] == 4
    assert counts['published'] == 0
    tester.wait(lambda: 'nobody reads' in tester.verdict, 'the verdict')
    # The one that was unread when the reader came, or the next: no more than one is sent.
    masks = tester.listen(Image, '/seg_node/mask')
    tester.warm_up(masks)
    tester.forget(masks)

    def unread_again():
        before = tester.counts.get('unread', 0)
        tester.send(tester.image(picture()))
        return tester.settled(received=1)['unread'] > before

    tester.wait(unread_again, 'frames that are unread again')


def test_the_last_unread_frame_is_for_who_comes(tester, seg_node, contract_model, monkeypatch):
    from seg_node.ros import camera

    monkeypatch.setattr(camera, '_HELD_S', 60.0)
    seg_node(model=str(contract_model), **RELIABLE)
    tester.camera()
    stamp = tester.send(tester.image(picture()))
    tester.settled(received=1)
    masks = tester.listen(Image, '/seg_node/mask')
    masks.stamped(stamp)
    counts = tester.settled(received=1)
    assert (counts['published'], counts['unread']) == (1, 0)


def test_inference_that_hangs_is_an_error_and_deactivating_ends(tester, seg_node, contract_model):
    node = seg_node(model=str(contract_model), watchdog_s=0.3, **RELIABLE)
    tester.camera()
    masks = tester.listen(Image, '/seg_node/mask')
    tester.warm_up(masks)
    go_on = threading.Event()
    runner = node._engine.loaded.runner
    real = runner.run
    runner.run = lambda: (go_on.wait(60), real())[1]
    try:
        tester.send(tester.image(picture()))
        tester.wait(lambda: 'inference hangs' in tester.verdict, 'the watchdog')
        assert tester.change('deactivate')
        assert not tester.change('activate')
        tester.wait(lambda: 'still hangs' in tester.verdict, 'the reason')
    finally:
        go_on.set()
    assert tester.change('cleanup')
    assert tester.change('configure')
    assert tester.change('activate')
    tester.warm_up(tester.listen(Image, '/seg_node/mask'))


def test_a_thread_that_has_died_is_an_error(tester, seg_node, contract_model):
    node = seg_node(model=str(contract_model))
    node._boxes.close()  # what ends the thread behind the node's back
    tester.wait(lambda: 'has ended' in tester.verdict, 'the watchdog')
    assert tester.change('deactivate')
    assert tester.change('activate')


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (MemoryError(), 'not enough memory'),
        (RuntimeError('no such device'), 'no such device'),
        (PermissionError(13, 'Permission denied', '/models/a.onnx'), 'Permission denied'),
    ],
)
def test_whatever_keeps_the_model_from_loading_is_said(
    tester, seg_node, contract_model, monkeypatch, error, words
):
    def fail(*_: object):
        raise error

    monkeypatch.setattr(engine_module, 'load_model', fail)
    seg_node(model=str(contract_model))
    tester.wait(lambda: words in tester.verdict, words)
    assert tester.state() == 'unconfigured'
    monkeypatch.undo()
    assert tester.change('configure')


def test_a_thread_that_cannot_start_is_said(tester, seg_node, contract_model, monkeypatch):
    def fail(loop: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(frame_loop.FrameLoop, 'start', fail)
    seg_node(model=str(contract_model))
    tester.wait(lambda: "can't start new thread" in tester.verdict, 'the reason')
    assert tester.state() == 'inactive'
    monkeypatch.undo()
    assert tester.change('activate')


def test_reloading_loses_no_frame_and_a_bad_file_changes_nothing(
    tester, seg_node, make_contract_model, tmp_path
):
    path = make_contract_model(tmp_path / 'model.onnx')
    seg_node(
        model=str(path),
        queue_size=50,
        **RELIABLE,
        **{'qos_overrides./image.subscription.depth': 50},
    )
    tester.camera()
    masks = tester.listen(Image, '/seg_node/mask')
    tester.warm_up(masks)
    before = tester.settled()
    make_contract_model(path, name='second')
    answers: list = []
    asking = threading.Thread(
        target=lambda: answers.append(
            tester.call(Trigger, '/seg_node/reload_model', Trigger.Request())
        )
    )
    asking.start()
    sent = 0
    while asking.is_alive() or sent < 20:
        masks.stamped(tester.send(tester.image(picture())))
        sent += 1
    asking.join()
    assert answers[0].success, answers[0].message
    assert 'second' in answers[0].message
    after = tester.settled(received=before['received'] + sent)
    assert after['published'] == before['published'] + sent
    path.write_bytes(b'no model')
    refused = tester.call(Trigger, '/seg_node/reload_model', Trigger.Request())
    assert not refused.success
    assert 'model.onnx' in refused.message
    masks.stamped(tester.send(tester.image(picture())))


@pytest.mark.parametrize('d', [[0.1] * 3, [float('nan')] * 5, [0.1] * 5])
def test_a_camera_info_of_any_lens_leaves_the_masks_alone(tester, seg_node, contract_model, d):
    seg_node(model=str(contract_model), camera_height_m=1.5, **RELIABLE)
    tester.camera()
    masks = tester.listen(Image, '/seg_node/mask')
    tester.listen(PointCloud2, '/seg_node/lane_points')
    tester.warm_up(masks)
    message = tester.image(picture())
    info = CameraInfo(width=64, height=32, distortion_model='ftheta', header=message.header)
    info.k = [50.0, 0.0, 31.5, 0.0, 50.0, 15.5, 0.0, 0.0, 1.0]
    info.d = d
    tester.send_info(info)
    masks.stamped(tester.send(message))
    tester.wait(lambda: 'last_problem' in tester.diagnostics, 'the problem')
    assert tester.diagnostics['last_problem'].startswith('camera_info: ')
    masks.stamped(tester.send(tester.image(picture())))


def test_a_cloud_whose_sizes_lie_is_refused():
    from seg_node.camera.points import POINT

    good = to_cloud(Image().header, np.zeros(4, POINT))
    assert len(from_cloud(good)) == 4
    for fields in ({'point_step': 0}, {'point_step': 8}, {'width': 2**32 - 1}, {'height': 9}):
        message = to_cloud(Image().header, np.zeros(4, POINT))
        for name, value in fields.items():
            setattr(message, name, value)
        with pytest.raises(FrameError, match='lane points: expected'):
            from_cloud(message)
    message = to_cloud(Image().header, np.zeros(4, POINT))
    message.fields[0].offset = 2**31
    try:
        with pytest.raises(FrameError, match='point_step'):
            from_cloud(message)
    finally:
        message.fields[0].offset = 0


def test_compressed_frames_come_under_the_name_that_image_transport_gives(
    tester, seg_node, contract_model
):
    """As `play --compressed` publishes them."""
    seg_node(model=str(contract_model), image_transport='compressed')
    tester.camera(kind=CompressedImage, topic='/image/compressed')
    masks = tester.listen(Image, '/seg_node/mask')

    def jpeg():
        message = tester.header(CompressedImage(format='jpeg'))
        # A camera's buffer is longer than the picture in it.
        message.data = cv2.imencode('.jpg', picture())[1].tobytes() + bytes(1000)
        return message

    tester.warm_up(masks, jpeg)


@pytest.mark.may_rerun('DDS discovery beside other tests may take longer than the 5 s')
def test_what_is_missing_is_said(tester, seg_node, contract_model, monkeypatch, capfd):
    monkeypatch.setattr(node_module, '_PATIENCE_S', 0.5)
    other = tester.node.create_publisher(CompressedImage, '/cam/image/compressed', 1)
    seg_node(model=str(contract_model))
    said: list[str] = []

    def line():
        said.append(capfd.readouterr().err)
        return 'no frame yet: /image: nobody publishes it' in ''.join(said)

    tester.wait(line, 'what is missing')
    text = ''.join(said)
    assert '/cam/image/compressed' in text
    assert 'image_transport compressed takes that' in text
    tester.node.destroy_publisher(other)


def test_two_cameras_share_a_model(tester, seg_node, contract_model):
    seg_node(model=str(contract_model), cameras=['front', 'rear'])
    senders, inboxes = {}, {}
    for name in ('front', 'rear'):
        senders[name] = tester.node.create_publisher(Image, f'/{name}/image', 5)
        inboxes[name] = tester.listen(Image, f'/seg_node/{name}/mask')
        tester.wait(senders[name].get_subscription_count, f'subscription of {name}')

    def answered(name: str):
        senders[name].publish(tester.image(picture() if name == 'front' else 0 * picture()))
        return inboxes[name].messages

    for name, wanted in (('front', 2), ('rear', 0)):
        tester.wait(lambda name=name: answered(name), f'a mask of {name}')
        assert set(inboxes[name].messages[-1].data) == {wanted}
    assert not tester.node.count_publishers('/seg_node/mask')


def test_cameras_by_a_pattern_of_topics(tester, seg_node, contract_model):
    """Those that are there when the node starts; what stands for the * names them."""
    topics = [f'/rig/cam_{name}/image_raw' for name in ('left', '2')]
    senders = [tester.node.create_publisher(Image, topic, 5) for topic in topics]
    seg_node(model=str(contract_model), cameras=['/rig/cam_*/image_raw'])
    for sender, name in zip(senders, ('left', 'camera_2')):
        masks = tester.listen(Image, f'/seg_node/{name}/mask')
        tester.wait(sender.get_subscription_count, f'subscription of {name}')

        def answered(sender=sender, masks=masks):
            sender.publish(tester.image(picture()))
            return masks.messages

        tester.wait(answered, f'a mask of {name}')
    for sender in senders:
        tester.node.destroy_publisher(sender)


@pytest.mark.parametrize('after', ['MiB of shared memory', 'loading model', 'active: waiting'])
def test_sigterm_at_any_moment_of_the_start_ends_without_a_traceback(
    processes, ros_tools, contract_model, after
):
    process = processes(NODE, ros_tools.arguments(model=contract_model))
    process.wait_line(after)
    process.process.send_signal(signal.SIGTERM)
    assert process.status() == 0, process.output
    assert 'Traceback' not in process.output
    assert 'error:' not in process.output
