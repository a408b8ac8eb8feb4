"""Pictures from files, folders, videos and bags."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from seg_node.errors import InputError
from seg_node.images.video import video_writer
from seg_node.sources import BagSource, ImageSource, open_source

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types


def flat(value: int, width: int = 32, height: int = 16) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def save(path: Path, value: int) -> Path:
    assert cv2.imwrite(str(path), flat(value))
    return path


def write_video(path: Path, values: list[int], rate: float = 5.0) -> Path:
    with video_writer(path, rate) as append:
        for value in values:
            append(flat(value))
    return path


def header(stamp_ns: int):
    time = TYPES['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return TYPES['std_msgs/msg/Header'](stamp=time, frame_id='cam')


def image(stamp_ns: int, value: int, encoding: str = 'bgr8'):
    return TYPES['sensor_msgs/msg/Image'](
        header=header(stamp_ns),
        height=16,
        width=32,
        encoding=encoding,
        is_bigendian=0,
        step=96,
        data=flat(value).ravel(),
    )


def jpeg(stamp_ns: int, value: int):
    data = cv2.imencode('.jpg', flat(value))[1]
    return TYPES['sensor_msgs/msg/CompressedImage'](
        header=header(stamp_ns), format='jpeg', data=data.ravel()
    )


def camera_info(stamp_ns: int):
    roi = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return TYPES['sensor_msgs/msg/CameraInfo'](
        header(stamp_ns), 16, 32, 'plumb_bob', np.zeros(5), np.eye(3).ravel() * 7,
        np.eye(3).ravel(), np.eye(3, 4).ravel() * 7, 0, 0, roi,
    )  # fmt: skip


def write_bag(path: Path, storage: StoragePlugin, topics: dict[str, list]) -> Path:
    """A bag with a message each 100 ms on every topic, stamped from 1000 s on."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for i, message in enumerate(messages):
                stamp = 1_000_000_000_000 + i * 100_000_000
                writer.write(connection, stamp, STORE.serialize_cdr(message, kind))
    return path


@pytest.fixture(params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=['mcap', 'sqlite3'])
def bag(request, tmp_path):
    stamps = [1_000_000_000_000 + i * 100_000_000 for i in range(4)]
    return write_bag(
        tmp_path / 'drive',
        request.param,
        {
            '/cam/depth/image': [image(s, 9) for s in stamps],
            '/cam/image_raw': [image(s, 50 * i) for i, s in enumerate(stamps)],
            '/cam/camera_info': [camera_info(stamps[0])],
            '/rear/image/compressed': [jpeg(s, 77) for s in stamps[:2]],
        },
    )


def values(source) -> list[int]:
    """The flat value of every picture, all pixels of which must be alike."""
    found = []
    for item in source:
        bgr = item.frame.bgr()
        assert bgr.shape == (16, 32, 3)
        assert np.ptp(bgr.astype(int)) <= 6
        found.append(round(float(bgr.mean())))
    return found


def test_one_picture(tmp_path):
    source = open_source(save(tmp_path / 'a.png', 40))
    assert (source.count, source.rate) == (1, None)
    assert [item.name for item in source] == ['a']
    assert values(source) == [40]


def test_a_folder_in_name_order(tmp_path):
    for value, name in enumerate(['c.png', 'a.png', 'b.png']):
        save(tmp_path / name, value * 10)
    source = open_source(tmp_path)
    assert source.count == 3
    assert [(i.name, i.time_s) for i in source] == [('a', 0.0), ('b', 1.0), ('c', 2.0)]
    assert values(source) == [10, 20, 0]


def test_equal_stems_keep_their_suffix(tmp_path):
    for name in ('a.png', 'a.bmp', 'b.png'):
        save(tmp_path / name, 5)
    source = open_source(tmp_path)
    assert isinstance(source, ImageSource)
    assert [item.name for item in source] == ['a.bmp', 'a.png', 'b']
    assert [source.read(i).name for i in range(3)] == ['a.bmp', 'a.png', 'b']


def test_grey_and_transparent_pictures_come_as_bgr(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((16, 32), 40, np.uint8))
    cv2.imwrite(str(tmp_path / 'b.png'), np.dstack([flat(40), np.zeros((16, 32), np.uint8)]))
    assert values(open_source(tmp_path)) == [40, 40]


def test_a_video_and_again(tmp_path):
    source = open_source(write_video(tmp_path / 'v.mp4', [10, 90, 170, 250]))
    assert source.count == 4
    assert source.rate == pytest.approx(5.0)
    items = list(source)
    assert [item.name for item in items] == [f'v_{i:06d}' for i in range(4)]
    assert [item.time_s for item in items] == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert values(source) == pytest.approx([10, 90, 170, 250], abs=4)


def test_a_bag_gives_its_camera_and_not_its_depth(bag):
    source = open_source(bag)
    assert isinstance(source, BagSource)
    assert source.count == 4
    assert source.rate == pytest.approx(10.0)
    assert values(source) == [0, 50, 100, 150]
    assert [item.time_s for item in source] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert len({item.name for item in source}) == 4
    assert source.camera_info().k[0] == 7.0


def test_a_named_topic_of_a_bag(bag):
    source = open_source(bag, '/rear/image/compressed')
    assert values(source) == [77, 77]
    assert source.camera_info() is None
    with pytest.raises(InputError, match=r'expected camera topic /front.*found .*/cam/image_raw'):
        _ = open_source(bag, '/front').count


def test_one_mcap_file_without_its_folder(tmp_path):
    folder = write_bag(tmp_path / 'b', StoragePlugin.MCAP, {'/image': [image(10**12, 30)]})
    assert values(open_source(next(folder.glob('*.mcap')))) == [30]


def test_messages_of_one_instant_keep_names_of_their_own(tmp_path):
    folder = tmp_path / 'b'
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/i', 'sensor_msgs/msg/Image', typestore=STORE)
        for value in (10, 20):
            message = STORE.serialize_cdr(image(10**12, value), 'sensor_msgs/msg/Image')
            writer.write(connection, 10**12, message)
    assert len({item.name for item in open_source(folder)}) == 2


def cut_mcap(tmp_path: Path) -> Path:
    messages = [image(10**12, v) for v in range(40)]
    whole = next(write_bag(tmp_path / 'b', StoragePlugin.MCAP, {'/i': messages}).glob('*.mcap'))
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(whole.read_bytes()[:20_000])
    return cut


def damaged_mcap(tmp_path: Path) -> Path:
    messages = [image(10**12, v) for v in range(5)]
    path = next(write_bag(tmp_path / 'b', StoragePlugin.MCAP, {'/i': messages}).glob('*.mcap'))
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = b'\xff' * third
    return garbage(path, bytes(data))


def garbage(path: Path, content: bytes = b'garbage') -> Path:
    path.write_bytes(content)
    return path


def cut_video(path: Path) -> Path:
    write_video(path, [10, 20, 30] * 5)
    return garbage(path, path.read_bytes()[:400])


@pytest.mark.parametrize(
    'make',
    [
        lambda d: d / 'missing.png',
        lambda d: garbage(d / 'x.png'),
        lambda d: garbage(d / 'x.jpg', b''),
        lambda d: garbage(d / 'x.mp4'),
        lambda d: garbage(d / 'x.mp4', b''),
        lambda d: cut_video(d / 'cut.mp4'),
        lambda d: garbage(d / 'x.txt'),
        lambda d: garbage(d / 'x.mcap'),
        lambda d: garbage(d / 'x.mcap', b''),
        lambda d: garbage(d / 'x.db3'),
        lambda d: garbage(d / 'x.bag'),
        cut_mcap,
        damaged_mcap,
        lambda d: garbage(d / 'metadata.yaml', b'a: [').parent,
        lambda d: d,
    ],
    ids=[
        'missing', 'png', 'empty', 'video', 'empty video', 'cut video', 'text', 'mcap',
        'empty mcap', 'db3', 'ros1', 'cut mcap', 'damaged mcap', 'bad metadata', 'empty folder',
    ],
)  # fmt: skip
def test_broken_sources_are_one_line_that_names_them(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        list(open_source(path))
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_broken_frame_in_a_bag_is_named(tmp_path):
    messages = [image(10**12, 1), image(10**12, 2, 'hsv9')]
    source = open_source(write_bag(tmp_path / 'b', StoragePlugin.MCAP, {'/i': messages}))
    with pytest.raises(InputError, match='hsv9'):
        list(source)


def test_a_bag_without_a_camera(tmp_path):
    path = write_bag(tmp_path / 'b', StoragePlugin.SQLITE3, {'/camera_info': [camera_info(0)]})
    with pytest.raises(InputError, match=r'expected an image topic, found /camera_info'):
        _ = open_source(path).count


def test_the_given_videos_and_photos_can_be_read(shared_data):
    for path in sorted((shared_data / 'media').glob('*.mp4')):
        source = open_source(path)
        first = next(iter(source))
        assert first.frame.width > first.frame.height > 100
        assert source.count > 10
