"""`lane-map` on a small bag: the map, its figures, and bags that lack something."""

from __future__ import annotations

import json
import resource

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from seg_node.cli import main
from seg_node.lane_map.cost import CAMERA
from seg_node.transforms import Pose, optical_mount

STORE = get_typestore(Stores.ROS2_HUMBLE)


def kind(name: str):
    return STORE.types[name]


def header(number: int, frame: str):
    stamp = kind('builtin_interfaces/msg/Time')(*divmod(number * 50_000_000, 10**9))
    return kind('std_msgs/msg/Header')(stamp, frame)


def image(number: int, pixels: np.ndarray, encoding: str):
    data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
    height, width = pixels.shape
    step = data.size // height
    return kind('sensor_msgs/msg/Image')(
        header(number, 'camera'), height, width, encoding, 0, step, data
    )


def camera_info(number: int, road, scale: float = 1.0):
    k = np.array(road.intrinsics.k) * [scale, 1, 1, 1, scale, 1, 1, 1, 1]
    roi = kind('sensor_msgs/msg/RegionOfInterest')(0, 0, 0, 0, False)
    return kind('sensor_msgs/msg/CameraInfo')(
        header(number, 'camera'), road.size.height, road.size.width, 'plumb_bob',
        np.zeros(5), k, np.eye(3).ravel(), np.array(road.intrinsics.p), 0, 0, roi,
    )  # fmt: skip


def vectors(pose: Pose):
    return pose.translation, kind('geometry_msgs/msg/Quaternion')(*pose.quaternion)


def odometry(number: int, x: float):
    place, turn = vectors(Pose.of_euler(x, 0.0, 0.0))
    pose = kind('geometry_msgs/msg/Pose')(kind('geometry_msgs/msg/Point')(*place), turn)
    zero = kind('geometry_msgs/msg/Vector3')(0.0, 0.0, 0.0)
    return kind('nav_msgs/msg/Odometry')(
        header(number, 'odom'), 'base_link',
        kind('geometry_msgs/msg/PoseWithCovariance')(pose, np.zeros(36)),
        kind('geometry_msgs/msg/TwistWithCovariance')(
            kind('geometry_msgs/msg/Twist')(zero, zero), np.zeros(36)
        ),
    )  # fmt: skip


def mount():
    place, turn = vectors(Pose.of_matrix(optical_mount(CAMERA)))
    transform = kind('geometry_msgs/msg/Transform')(
        kind('geometry_msgs/msg/Vector3')(*place), turn
    )
    stamped = kind('geometry_msgs/msg/TransformStamped')
    return kind('tf2_msgs/msg/TFMessage')([stamped(header(0, 'base_link'), 'camera', transform)])


@pytest.fixture
def write_bag(tmp_path, road):
    """Writes a drive of 24 m; `without` topics, `zoom` of the focal lengths, `broken` messages."""

    def write(without: tuple[str, ...] = (), zoom: float = 1.0, broken: bool = False):
        path = tmp_path / 'drive'
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = {}

            def put(topic, message, number):
                if topic in without:
                    return
                if topic not in connections:
                    name = message.__msgtype__
                    connections[topic] = writer.add_connection(topic, name, typestore=STORE)
                if broken and (topic, number) == ('/odom', 20):
                    message.pose.pose.orientation.w = float('nan')
                data = STORE.serialize_cdr(message, message.__msgtype__)
                if broken and (topic, number) == ('/semantic/camera_info', 10):
                    data = data[:20]
                writer.write(connections[topic], number * 50_000_000 + 1, data)

            put('/tf_static', mount(), 0)
            for number in range(48):
                x = 0.5 * number
                ids = np.array([0, 1, 24], np.uint8)[road.mask(road.pose(x))]
                put('/odom', odometry(number, x), number)
                put('/semantic/camera_info', camera_info(number, road, zoom), number)
                put('/depth/camera_info', camera_info(number, road, zoom), number)
                put('/depth/image', image(number, road.depth.pixels, '32FC1'), number)
                put('/semantic/image', image(number, ids, 'mono8'), number)
        return path

    return write


@pytest.fixture
def truth(tmp_path, road):
    path = tmp_path / 'truth.geojson'
    shapes = [
        {'type': 'Feature', 'properties': {}, 'geometry': {'type': 'LineString', 'coordinates': c}}
        for c in ([[0.0, y], [60.0, y]] for y in road.offsets)
    ]
    path.write_text(json.dumps({'type': 'FeatureCollection', 'features': shapes}))
    return path


def lane_map(*arguments: object) -> int:
    return main(['lane-map', *map(str, arguments)])


@pytest.mark.parametrize('depth', ['/depth/image', 'none'])
def test_a_bag_becomes_a_map_that_fits_the_truth(write_bag, truth, tmp_path, depth):
    out, figures = tmp_path / 'out', tmp_path / 'figures.json'
    status = lane_map(
        write_bag(), '-o', out, '--labels', '/semantic/image', '--depth', depth,
        '--truth', truth, '--json', figures,
    )  # fmt: skip
    assert status == 0
    found = json.loads(figures.read_text())
    assert found['frames'] == {'frames': 48, 'added': 48}
    assert found['lane_map']['median_error_m'] <= 0.06
    assert found['lane_map']['p95_error_m'] <= 0.12
    assert found['lane_map']['coverage'] >= 0.85
    assert json.loads((out / 'lane_map.geojson').read_text())['frame_id'] == 'odom'
    assert (out / 'lane_map.png').stat().st_size > 1000


def test_a_cloud_of_another_mapper_is_compared(write_bag, truth, road, tmp_path):
    """One as rtabmap-export writes it: road and stripes in class colours, stripes 0.1 m off."""
    along = np.arange(0.0, 40.0, 0.05)
    parts = [(along, np.full_like(along, y + 0.1), (157, 234, 50)) for y in road.offsets]
    parts.append((along, np.full_like(along, 0.9), (128, 64, 128)))
    rows = [f'{x} {y} 0 {r} {g} {b}' for xs, ys, (r, g, b) in parts for x, y in zip(xs, ys)]
    names = ['float x', 'float y', 'float z', 'uchar red', 'uchar green', 'uchar blue']
    head = ['ply', 'format ascii 1.0', f'element vertex {len(rows)}']
    head += [f'property {name}' for name in names]
    cloud = tmp_path / 'cloud.ply'
    cloud.write_text('\n'.join([*head, 'end_header', *rows]))
    figures = tmp_path / 'figures.json'
    status = lane_map(
        write_bag(), '-o', tmp_path / 'out', '--labels', '/semantic/image', '--truth', truth,
        '--cloud', cloud, '--json', figures,
    )  # fmt: skip
    assert status == 0
    figures_of_cloud = json.loads(figures.read_text())['cloud']
    assert figures_of_cloud['points'] == len(along) * len(road.offsets)
    to_truth, to_map = (figures_of_cloud[name] for name in ('to_truth', 'to_lane_map'))
    assert to_truth['median_error_m'] == pytest.approx(0.1, abs=0.005)
    assert to_truth['coverage'] > 0.95
    assert to_map['median_error_m'] == pytest.approx(0.1, abs=0.05)
    assert to_map['coverage'] > 0.9


@pytest.mark.parametrize(
    ('without', 'zoom', 'words'),
    [
        (('/odom',), 1.0, 'expected odometry'),
        (('/tf_static',), 1.0, '/tf_static knows no way from camera to base_link'),
        (('/semantic/camera_info',), 1.0, 'with a camera_info beside it'),
        ((), 0.0, 'not calibrated'),
    ],
)
def test_what_a_bag_lacks_is_one_line(write_bag, tmp_path, capsys, without, zoom, words):
    bag = write_bag(without, zoom)
    assert lane_map(bag, '-o', tmp_path / 'out', '--labels', '/semantic/image') == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count('\n') == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('truth.geojson', b'{"features": 3}', 'expected GeoJSON'),
        ('truth.xodr', b'<OpenDRIVE>\xff', 'cannot be read: not UTF-8'),
        ('truth.xodr', b'<map/>', 'expected a root element OpenDRIVE'),
    ],
)
def test_truth_that_is_none_is_one_line(write_bag, tmp_path, capsys, name, content, words):
    bad = tmp_path / name
    bad.write_bytes(content)
    assert lane_map(write_bag(), '--labels', '/semantic/image', '--truth', bad) == 1
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1


def test_a_topic_that_is_named_has_to_be_there(write_bag, tmp_path, capsys):
    bag = write_bag()
    for option in ('--depth', '--odometry'):
        assert lane_map(bag, '--labels', '/semantic/image', option, '/no/such') == 1
        said = capsys.readouterr().err
        assert f'expected {option[2:]} on /no/such, found none' in said


def test_a_broken_message_costs_no_more_than_itself(write_bag, tmp_path, capsys):
    """Half a CameraInfo and a pose that is none, in mid-drive: one frame less, both named."""
    bag, figures = write_bag(broken=True), tmp_path / 'figures.json'
    arguments = ('--labels', '/semantic/image', '--json', figures)
    assert lane_map(bag, '-o', tmp_path / 'out', *arguments) == 0
    frames = json.loads(figures.read_text())['frames']
    assert frames == {'frames': 48, 'added': 47, 'lost_message': 2, 'lost_unmatched': 1}
    said = capsys.readouterr().out
    assert 'warning: ' in said and '/semantic/camera_info: not a readable' in said
    assert 'expected finite metres and a unit quaternion' in said


def test_a_full_disk_is_one_line_and_leaves_the_map_that_was_there(write_bag, tmp_path, capsys):
    bag, out = write_bag(), tmp_path / 'out'
    arguments = (bag, '-o', out, '--labels', '/semantic/image')
    assert lane_map(*arguments) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        assert lane_map(*arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = f'error: {out / "lane_map.ply"}: cannot be written: File too large\n'
    assert capsys.readouterr().err.endswith(said)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
