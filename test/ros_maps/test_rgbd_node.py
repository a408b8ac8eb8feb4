"""RGB-D sets, lane points and nav2's topics of the real node, over DDS."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import Image, PointCloud2

from seg_node.classes import LANE
from seg_node.ros.clouds import from_cloud

DOMAIN = 75
SIDE = (64, 32)


def picture() -> np.ndarray:
    """uint8 (32, 64, 3) BGR: background, road from column 16 (green), marking from 32 (red)."""
    bgr = np.zeros((32, 64, 3), np.uint8)
    bgr[:, 16:32, 1] = 255
    bgr[:, 32:, 2] = 255
    bgr[:, :, 0] = 7
    return bgr


IDS = np.repeat([0, 1, 2, 2], 16)[None].repeat(32, axis=0).astype(np.uint8)
COLUMN = np.arange(64)[None].repeat(32, axis=0)
METRES = np.linspace(1.0, 20.0, 64 * 32, dtype=np.float32).reshape(32, 64)


@pytest.fixture
def setup(seg_node, tester, contract_model, rig, exact_sync):
    """A node with parameters, a rig and a consumer, connected."""

    def make(**parameters):
        seg_node(model=str(contract_model), **parameters)
        made = rig(tester)
        made.connect()
        return made, exact_sync(tester)

    return make


@pytest.mark.parametrize(
    ('mode', 'kept'),
    [
        ({'rtabmap__mode': 'lanes_only'}, IDS == 2),
        ({'rtabmap__mode': 'road_only'}, IDS > 0),
        ({'rtabmap__mode': 'drop_classes', 'rtabmap__drop_classes': ['road']}, IDS != 1),
        ({'rtabmap__mode': 'lanes_only', 'rtabmap__dilate_px': 3}, COLUMN >= 32 - 3),
    ],
)
def test_modes_cut_depth_and_keep_colour(setup, as_depth, mode, kept):
    rig, sync = setup(**mode)
    bgr = picture()
    whole = sync.stamped(rig.send(bgr, METRES, '32FC1'))
    assert whole['depth/image'].encoding == '32FC1'
    assert np.array_equal(as_depth(whole['depth/image']), np.where(kept, METRES, 0))
    assert bytes(whole['rgb/image'].data) == bgr.tobytes()
    assert whole['rgb/image'].header.frame_id == 'ego_vehicle/rgb_front'


def test_lane_rgb_paints_and_passes_depth_on(setup, as_depth):
    rig, sync = setup(rtabmap__mode='lane_rgb')
    mm = (METRES * 1000).astype(np.uint16)
    whole = sync.stamped(rig.send(picture(), mm, '16UC1'))
    assert whole['depth/image'].encoding == '16UC1'
    assert np.array_equal(as_depth(whole['depth/image']), mm)
    painted = np.frombuffer(whole['rgb/image'].data, np.uint8).reshape(32, 64, 3)
    assert np.array_equal(painted, LANE.colourize(IDS))


def test_depth_of_half_the_size_and_in_carla_coding(setup, as_depth):
    rig, sync = setup(rtabmap__mode='lanes_only')
    small = METRES[::2, ::2]
    whole = sync.stamped(rig.send(picture(), small, '32FC1'))
    assert np.array_equal(as_depth(whole['depth/image']), np.where(IDS[::2, ::2] == 2, small, 0))
    code = np.round(METRES.astype(float) / 1000 * (2**24 - 1)).astype(np.uint32)
    coded = np.stack([code >> 16, code >> 8 & 255, code & 255, code * 0 + 255], -1)
    whole = sync.stamped(rig.send(picture(), coded.astype(np.uint8), 'bgra8'))
    assert whole['depth/image'].encoding == '32FC1'
    wanted = np.where(IDS == 2, METRES, 0)
    assert as_depth(whole['depth/image']) == pytest.approx(wanted, abs=1e-3)


def test_late_parts_complete_a_set(setup, tester):
    rig, sync = setup(rtabmap__mode='lanes_only')
    sync.stamped(rig.send(picture(), METRES, '32FC1'))
    masks = tester.listen(Image, '/seg_node/mask')
    header = rig.stamp()
    image = tester.image(picture())
    image.header = header
    rig.image.publish(image)
    masks.stamped(header.stamp)
    assert len(sync.sets) == 1
    rig.send(picture(), METRES, '32FC1', header=header)
    sync.stamped(header.stamp)


def test_sizes_encodings_and_cameras_that_do_not_fit_are_refused(setup, tester, watch):
    rig, sync = setup(rtabmap__mode='lanes_only')
    status = watch(tester)
    sync.stamped(rig.send(picture(), METRES, '32FC1'))

    def refused(cause: str, *words: str) -> None:
        found = status.wait('mapping', lambda level, _, values: f'sets_{cause}' in values)
        assert found[0] == b'\x02'
        assert all(word in found[1] for word in words), found[1]

    rig.send(picture(), METRES[:, :48], '32FC1')
    refused('size_ratio', 'depth 48x32', 'RGB 64x32', 'integer multiple')
    rig.send(picture(), METRES.astype(np.float32).view(np.uint8)[:, :64], 'mono8')
    refused('depth_encoding', "'mono8'", '16UC1')
    rig.send(picture(), METRES, '32FC1', depth_focal=200.0)
    refused('not_registered', '64.0', '200.0')
    header = rig.stamp()
    rig.depth_info.publish(rig.camera_info(header, 64, 32, 0.0))
    rig.info.publish(rig.camera_info(header, 64, 32, 0.0))
    rig.send(picture(), METRES, '32FC1', header=header, infos=False)
    refused('intrinsics', 'not calibrated')
    assert len(sync.sets) == 1
    sync.stamped(rig.send(picture(), METRES, '32FC1'))
    found = status.wait('mapping', lambda level, *_: level == b'\x00')
    values = {k: int(v) for k, v in found[2].items() if k.startswith(('sets_', 'image_'))}
    assert values['sets_whole'] == 6
    assert values['sets_whole'] == sum(
        n
        for k, n in values.items()
        if k.startswith('sets_') and k not in ('sets_whole', 'sets_unread')
    )
    assert not sync.incomplete


def test_without_depth_the_mask_goes_on_and_the_state_says_why(setup, tester, watch):
    rig, sync = setup(rtabmap__mode='lanes_only')
    status, masks = watch(tester), tester.listen(Image, '/seg_node/mask')
    tester.wait(lambda: tester.node.count_subscribers('/seg_node/mask'), 'reader of masks')
    for _ in range(3):
        header = rig.stamp()
        rig.info.publish(rig.camera_info(header, *SIDE))
        image = tester.image(picture())
        image.header = header
        rig.image.publish(image)
        masks.stamped(header.stamp)
    found = status.wait('mapping', lambda level, *_: level == b'\x02')
    assert found[1] == 'nothing has come on depth'
    assert not sync.sets


def test_stamps_that_never_meet_are_named(setup, tester, watch):
    rig, sync = setup(rtabmap__mode='lanes_only', sync_queue=2)
    status = watch(tester)
    for _ in range(6):
        rig.info.publish(rig.camera_info(rig.stamp(), *SIDE))
        rig.depth.publish(tester.image(METRES, '32FC1'))
        rig.image.publish(tester.image(picture()))
        tester.settled(received=1)
    found = status.wait('mapping', lambda level, *_: level == b'\x02')
    assert 'never met' in found[1] and 'sync_tolerance_ms' in found[1]
    assert not sync.sets


def test_tolerance_takes_near_stamps_under_the_pictures_header(setup, tester):
    rig, sync = setup(rtabmap__mode='lanes_only', sync_tolerance_ms=200.0)
    header, other = rig.stamp(), rig.stamp()
    rig.info.publish(rig.camera_info(header, *SIDE))
    depth = tester.image(METRES, '32FC1')
    depth.header = other
    rig.depth.publish(depth)
    image = tester.image(picture())
    image.header = header
    rig.image.publish(image)
    whole = sync.stamped(header.stamp)
    assert whole['depth/image'].header == header


def test_lane_points_from_depth_and_from_the_ground(setup, seg_node, tester, rig, contract_model):
    made, _ = setup(rtabmap__mode='road_only', lane_points__max_range_m=15.0)
    points = tester.listen(PointCloud2, '/seg_node/lane_points')
    made.send(picture(), METRES, '32FC1')
    tester.wait(lambda: points.messages, 'lane points')
    message = points.messages[0]
    assert [f.name for f in message.fields] == ['x', 'y', 'z', 'class', 'confidence']
    assert message.header.frame_id == 'ego_vehicle/rgb_front'
    found = from_cloud(message)
    wanted = METRES[(IDS == 2) & (METRES <= 15.0)]
    assert found['z'] == pytest.approx(wanted)
    assert set(found['class'].tolist()) == {2}
    assert set(found['confidence'].tolist()) == {255}
    u = found['x'] / found['z'] * 64 + 31.5
    assert u.min() == pytest.approx(32, abs=1e-3)
    assert u.max() == pytest.approx(63, abs=1e-3)


def test_lane_points_from_the_ground_plane(seg_node, tester, rig, contract_model, watch):
    seg_node(model=str(contract_model), camera_height_m=1.6, lane_points__max_range_m=30.0)
    made = rig(tester)
    made.connect(made.image, made.info)
    points = tester.listen(PointCloud2, '/seg_node/lane_points')
    aligned = tester.listen(PointCloud2, '/seg_node/points')
    stamp = made.send(picture(), METRES, '32FC1')
    found = from_cloud(points.stamped(stamp))
    assert found['y'] == pytest.approx(np.full(len(found), 1.6), rel=1e-4)
    assert len(found) == np.count_nonzero((IDS == 2)[19:])
    cloud = aligned.stamped(stamp)
    assert (cloud.width, cloud.height, cloud.point_step) == (64, 32, 12)
    xyz = np.frombuffer(cloud.data, np.float32).reshape(32, 64, 3)
    assert np.isnan(xyz[:16]).all()
    assert xyz[31, 0] == pytest.approx([-31.5 * 1.6 / 15.5, 1.6, 64 * 1.6 / 15.5], rel=1e-4)


def test_without_height_lane_points_say_what_is_missing(
    seg_node, tester, rig, contract_model, watch
):
    seg_node(model=str(contract_model))
    made = rig(tester)
    made.connect(made.image, made.info)
    status = watch(tester)
    points = tester.listen(PointCloud2, '/seg_node/lane_points')
    masks = tester.listen(Image, '/seg_node/mask')
    masks.stamped(made.send(picture(), METRES, '32FC1'))
    _, _, values = status.wait(
        'segmentation', lambda *s: 'camera_height' in s[2].get('last_problem', '')
    )
    assert 'TF' in values['last_problem']
    assert not points.messages


def test_nav2_names(seg_node, tester, rig, contract_model):
    seg_node(model=str(contract_model), nav2=True, lane_points__source='depth')
    made = rig(tester)
    made.connect()
    names = ('mask', 'confidence')
    inboxes = [tester.listen(Image, f'/segmentation/{name}') for name in names]
    cloud = tester.listen(PointCloud2, '/segmentation/points')
    stamp = made.send(picture(), METRES, '32FC1')
    mask, confidence = (inbox.stamped(stamp) for inbox in inboxes)
    assert np.array_equal(np.frombuffer(mask.data, np.uint8).reshape(32, 64), IDS)
    assert mask.encoding == confidence.encoding == 'mono8'
    organised = cloud.stamped(stamp)
    assert (organised.width, organised.height) == (mask.width, mask.height)
    xyz = np.frombuffer(organised.data, np.float32).reshape(32, 64, 3)
    assert xyz[..., 2] == pytest.approx(METRES)
    assert not tester.node.count_publishers('/seg_node/mask')


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'rtabmap__mode': 'drop_classes'}, 'rtabmap.drop_classes: expected at least one'),
        (
            {'rtabmap__mode': 'drop_classes', 'rtabmap__drop_classes': ['tree']},
            "class 'tree': expected one of background, road, lane_marking",
        ),
        ({'rtabmap__mode': 'lanes_only', 'output_size': 'network'}, 'expected output_size source'),
        ({'lane_classes': ['kerb']}, "class 'kerb'"),
    ],
)
def test_impossible_settings_stop_configuration(
    seg_node, tester, contract_model, watch, parameters, words
):
    status = watch(tester)
    seg_node(model=str(contract_model), **parameters)
    found = status.wait('segmentation', lambda level, message, _: words in message)
    assert found[0] == b'\x02'
    assert tester.state() == 'unconfigured'


def test_every_set_arrives_whole_at_three_consumers(
    processes, ros_tools, module_tester, contract_model, rig, exact_sync, watch
):
    process = processes(
        'seg_node.ros.node',
        ros_tools.arguments(
            model=contract_model, diagnostics_period_s=0.1, **{'rtabmap.mode': 'lanes_only'}
        ),
    )
    process.wait_line('active: waiting for frames')
    tester = module_tester
    made = rig(tester)
    made.connect()
    consumers = [exact_sync(tester) for _ in range(3)]
    bgr = np.zeros((360, 640, 3), np.uint8)
    bgr[200:, 300:340, 2] = 255
    depth = np.full((360, 640), 5.0, np.float32)
    made.until(lambda: all(c.sets for c in consumers), bgr, depth)
    # The camera waits for each answer: a frame that the mailbox supersedes is no loss of a set.
    for _ in range(40):
        stamp = made.send(bgr, depth, '32FC1')
        for consumer in consumers:
            consumer.stamped(stamp)
    for consumer in consumers:
        assert len(consumer.sets) >= 40
        late = [stamp for stamp in consumer.incomplete if stamp > made.connected]
        assert not late
