"""The node in a process of its own, over DDS: outputs, bad frames, parameters, Ctrl-C."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_blocks import block_ids, blocks

pytest.importorskip('rclpy')

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

DOMAIN = 50
NODE = 'seg_node.ros.node'


def pixels(message: Image) -> np.ndarray:
    """uint8 (H, W) of a mono8 message whose fields must fit each other."""
    assert message.encoding == 'mono8'
    assert message.step == message.width
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)


@pytest.fixture(scope='module')
def node(processes, ros_tools, contract_model):
    process = processes(NODE, ros_tools.arguments(model=contract_model, diagnostics_period_s=0.1))
    process.wait_line('active: waiting for frames on /image')
    return process


@pytest.fixture(scope='module')
def camera(node, module_tester):
    """The tester, connected as a camera and as a reader of masks."""
    module_tester.camera()
    module_tester.masks = module_tester.listen(Image, '/seg_node/mask')
    module_tester.warm_up(module_tester.masks)
    return module_tester


def test_warm_up_and_transport_are_said_at_start_up(node):
    assert any('model green_red: openvino fp32' in line for line in node.lines)
    assert any('warm-up' in line for line in node.lines)
    assert any('MiB of shared memory' in line for line in node.lines)


def test_mask_has_the_header_the_size_and_the_pixels(camera):
    message = camera.image(blocks())
    stamp = camera.send(message)
    mask = camera.masks.stamped(stamp)
    assert mask.header == message.header
    assert (mask.width, mask.height) == (64, 32)
    np.testing.assert_array_equal(pixels(mask), block_ids())


@pytest.mark.parametrize(
    ('encoding', 'convert'),
    [
        ('bgra8', lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA)),  # ros-bridge: alpha 255
        ('bgra8', lambda bgr: np.dstack([bgr, np.zeros(bgr.shape[:2], np.uint8)])),  # native
        ('rgb8', lambda bgr: np.ascontiguousarray(bgr[..., ::-1])),
        ('rgba8', lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2RGBA)),
    ],
    ids=['ros-bridge', 'native', 'rgb8', 'rgba8'],
)
def test_colour_encodings_give_the_same_mask(camera, encoding, convert):
    stamp = camera.send(camera.image(convert(blocks()), encoding))
    np.testing.assert_array_equal(pixels(camera.masks.stamped(stamp)), block_ids())


def test_sizes_may_change_in_mid_stream(camera):
    for width, height in ((640, 360), (64, 32), (1280, 720), (100, 30)):
        stamp = camera.send(camera.image(blocks(width, height)))
        mask = pixels(camera.masks.stamped(stamp))
        assert mask.shape == (height, width)
        assert (mask == block_ids(width, height)).mean() > 0.93  # the rest are the borders


def broken(image: Image, **fields: object) -> Image:
    for name, value in fields.items():
        setattr(image, name, value)
    return image


@pytest.mark.parametrize(
    ('fields', 'cause', 'words'),
    [
        ({'encoding': 'hsv9'}, 'encoding', "encoding 'hsv9': expected one of"),
        ({'step': 50}, 'step', 'expected step >= 192, got 50'),
        ({'data': b''}, 'truncated', 'expected 6144 bytes of data, got 0'),
        ({'data': bytes(1000)}, 'truncated', 'expected 6144 bytes of data, got 1000'),
        ({'width': 0, 'height': 0, 'data': b''}, 'size', 'expected at least one row'),
        ({'encoding': 'nv12', 'height': 31}, 'size', 'expected even width and height'),
        ({'width': 1, 'height': 1}, 'size', 'expected at least 2x2'),
        ({'encoding': ''}, 'encoding', "encoding ''"),
    ],
)
def test_a_bad_frame_is_one_line_is_counted_and_the_node_lives_on(
    camera, node, fields, cause, words
):
    before = camera.settled()
    camera.send(broken(camera.image(blocks()), **fields))
    after = camera.settled(received=before['received'] + 1)
    key = f'rejected_{cause}'
    assert after['rejected'] == before['rejected'] + 1
    assert after[key] == before.get(key, 0) + 1
    assert words in camera.diagnostics['last_problem']
    assert '\n' not in camera.diagnostics['last_problem']
    stamp = camera.send(camera.image(blocks()))
    assert camera.masks.stamped(stamp)
    assert 'Traceback' not in node.output


def test_bad_frames_are_logged(node):
    node.wait_line(r"WARN.*encoding 'hsv9'")


def info(width: int, height: int) -> CameraInfo:
    made = CameraInfo(width=width, height=height, distortion_model='plumb_bob')
    made.k = [50.0, 0.0, 31.5, 0.0, 60.0, 15.5, 0.0, 0.0, 1.0]
    made.p = [50.0, 0.0, 31.5, 0.0, 0.0, 60.0, 15.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    made.d = [0.1, 0.2, 0.0, 0.0, 0.0]
    return made


def test_camera_info_goes_with_each_mask(camera):
    infos = camera.listen(CameraInfo, '/seg_node/camera_info')
    given = camera.header(info(64, 32))
    camera.send_info(given)

    def answered():
        stamp = camera.send(camera.image(blocks()))
        camera.masks.stamped(stamp)
        return infos.messages

    got = camera.wait(answered, 'camera_info')[-1]
    assert got.header.frame_id == given.header.frame_id
    assert camera.masks.stamped(got.header.stamp).header == got.header
    given.header = got.header
    assert got == given
    camera.forget(infos)


def test_camera_info_of_another_size_is_named_and_not_passed_on(camera):
    camera.send_info(camera.header(info(640, 480)))

    def told():
        camera.masks.stamped(camera.send(camera.image(blocks())))
        return 'expected 64x32 as the image has, got 640x480' in camera.diagnostics.get(
            'last_problem', ''
        )

    camera.wait(told, 'the problem in diagnostics')


def test_confidence_and_overlay_are_made_while_somebody_subscribes(camera):
    topics = {
        'confidence': (Image, '/seg_node/confidence'),
        'overlay': (Image, '/seg_node/overlay'),
        'jpeg': (CompressedImage, '/seg_node/overlay/compressed'),
    }
    inboxes = {name: camera.listen(*topic) for name, topic in topics.items()}

    def all_answered():
        camera.masks.stamped(camera.send(camera.image(blocks())))
        return all(inbox.messages for inbox in inboxes.values())

    camera.wait(all_answered, 'confidence and both overlays')
    message = camera.image(blocks())
    stamp = camera.send(message)
    confidence = inboxes['confidence'].stamped(stamp)
    assert (pixels(confidence) == 255).all()
    overlay, jpeg = inboxes['overlay'].stamped(stamp), inboxes['jpeg'].stamped(stamp)
    assert confidence.header == overlay.header == jpeg.header == message.header
    painted = np.frombuffer(overlay.data, np.uint8).reshape(32, 64, 3)
    assert overlay.encoding == 'bgr8'
    expected = [[0, 0, 0], [64, 160, 64], [25, 117, 206]]  # half picture, half class colour
    for column, colour in zip((5, 20, 50), expected):
        np.testing.assert_allclose(painted[10, column], colour, atol=1)
    decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - painted).mean() < 6
    for inbox in inboxes.values():
        camera.forget(inbox)


def test_live_parameters_take_effect(camera):
    half = np.full((32, 64, 3), 100, np.uint8)

    def ids() -> set[int]:
        return set(np.unique(pixels(camera.masks.stamped(camera.send(camera.image(half))))))

    assert ids() == {0}
    assert camera.set('thresholds', [90, 200]).successful
    assert ids() == {1}
    assert camera.set('thresholds', [200, 90]).successful
    assert ids() == {2}
    assert camera.set('thresholds', [128, 128]).successful
    assert ids() == {0}

    assert camera.set('hysteresis', 20).successful
    assert camera.set('thresholds', [90, 128]).successful
    assert ids() == {1}
    assert camera.set('thresholds', [115, 128]).successful
    assert ids() == {1}, 'a pixel keeps its class within the margin'
    assert camera.set('hysteresis', 0).successful
    assert ids() == {0}
    assert camera.set('thresholds', [128, 128]).successful

    overlays = camera.listen(Image, '/seg_node/overlay')
    assert camera.set('overlay_alpha', 1.0).successful

    def opaque():
        stamp = camera.send(camera.image(blocks()))
        camera.masks.stamped(stamp)
        last = overlays.messages[-1:]
        return last and list(last[0].data[20 * 3 : 20 * 3 + 3]) == [128, 64, 128]

    camera.wait(opaque, 'road painted in its own colour')
    camera.forget(overlays)


def test_frames_older_than_allowed_are_stale(camera):
    assert camera.set('max_frame_age_ms', 2000.0).successful
    before = camera.settled()
    camera.send(camera.image(blocks(), age_s=30.0))
    after = camera.settled(received=before['received'] + 1)
    assert after['stale'] == before['stale'] + 1
    camera.masks.stamped(camera.send(camera.image(blocks())))
    assert camera.set('max_frame_age_ms', 0.0).successful
    camera.masks.stamped(camera.send(camera.image(blocks(), age_s=30.0)))


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('thresholds', [128], 'expected 2 values'),
        ('thresholds', [0, 300], '1 to 255'),
        ('thresholds', ['a', 'b'], 'thresholds'),
        ('thresholds', [0.5, 0.5], 'thresholds'),
        ('thresholds', [100.5, 90.5], 'thresholds'),
        ('thresholds', 5, 'thresholds'),
        ('thresholds', 'high', 'thresholds'),
        ('hysteresis', 128, 'hysteresis'),
        ('overlay_alpha', 1.5, 'overlay_alpha'),
        ('overlay_alpha', 'half', 'Wrong parameter type'),
        ('max_frame_age_ms', -1.0, 'max_frame_age_ms'),
        ('jpeg_quality', 0, 'jpeg_quality'),
        ('backend', 'tpu', 'expected one of auto, openvino'),
        ('backend', 'onnxruntime', 'read when the node is configured'),
        ('model', 'other.onnx', 'read when the node is configured'),
        ('output_size', 'network', 'read when the node is configured'),
        ('threads', 1, 'read when the node is configured'),
        ('autostart', False, 'read-only'),
    ],
)
def test_impossible_or_fixed_parameters_are_refused_with_a_reason(camera, name, value, words):
    result = camera.set(name, value)
    assert not result.successful
    assert words in result.reason
    stamp = camera.send(camera.image(blocks()))
    np.testing.assert_array_equal(pixels(camera.masks.stamped(stamp)), block_ids())


def test_counts_add_up_and_the_stages_are_told(camera):
    counts = camera.settled()
    parts = ('published', 'superseded', 'stale', 'rejected', 'unread')
    assert counts['received'] == sum(counts[part] for part in parts)
    assert counts['stale'] == 1
    assert camera.diagnostics['state'] == 'active'
    assert camera.diagnostics['backend'] == 'openvino'
    assert camera.diagnostics['network_size'] == '64x32'
    for stage in ('decode', 'preprocess', 'infer', 'postprocess', 'publish', 'frame_age'):
        for percentile in ('p50', 'p95', 'p99'):
            assert float(camera.diagnostics[f'{stage}_ms_{percentile}']) >= 0.0
    assert float(camera.diagnostics['infer_ms_p50']) > 0.0


def test_ctrl_c_twice_ends_with_0_and_without_a_traceback(camera, node):
    assert node.interrupt(times=2) == 0
    assert 'Traceback' not in node.output
