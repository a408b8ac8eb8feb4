"""A bag is read as far as it goes: what is foreign or damaged takes nothing else with it."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from seg_node.bags.bag import Bag, is_bag
from seg_node.bags.camera import decode_image
from seg_node.errors import InputError

CAMERA = '/camera/image_raw'


def read(path: Path, topic: str = CAMERA) -> tuple[list[np.ndarray], list[str]]:
    """Every picture of a topic that can be decoded, and what is wrong with the bag."""
    with Bag(path) as bag:
        return [decode_image(bag, m).pixels for m in bag.messages([topic])], bag.problems


def is_whole(make, pictures: list[np.ndarray], count: int = 3) -> bool:
    expected = [make.pixels_of('colour', i)[0] for i in range(count)]
    return len(pictures) == count and all(map(np.array_equal, pictures, expected))


FOREIGN = {
    'json': {'kind': 'foxglove.Log', 'encoding': 'json', 'schema': 'jsonschema', 'text': '{}'},
    'protobuf': {'kind': 'a.B', 'encoding': 'protobuf', 'schema': 'protobuf', 'text': '\0\1'},
    'service': {'kind': 'a_msgs/srv/Add_Event', 'text': 'int64 a\n---\nint64 sum\n'},
    'no schema': {'kind': 'a', 'encoding': '', 'schema': '', 'text': ''},
    'unknown definition': {'kind': 'a_msgs/msg/B', 'schema': 'unknown', 'text': ''},
}


@pytest.mark.parametrize('kind', FOREIGN)
def test_a_foreign_channel_in_an_mcap_does_not_matter(make, tmp_path, kind):
    other = make.Sent('/other', (b'{}',), **FOREIGN[kind])
    path = make.mcap(tmp_path / 'a.mcap', other, make.pictures(CAMERA))
    pictures, problems = read(path)
    assert is_whole(make, pictures) and not problems
    with Bag(path) as bag:
        assert bag.topic('/other').count == 1
        (message,) = bag.messages(['/other'])
        with pytest.raises(InputError, match=f'{path}: /other: not a readable'):
            bag.deserialize(message)


@pytest.mark.parametrize('encoding', ['cdr', 'json'])
def test_a_foreign_channel_in_sqlite_does_not_matter(make, tmp_path, encoding):
    text = 'std_msgs/msg/String'
    other = make.Sent('/other', (b'{}',), text, encoding, 'unknown', 'no definition: ? ?')
    path = make.sqlite(tmp_path / 'bag', other, make.pictures(CAMERA))
    for place in (path, next(path.glob('*.db3'))):
        pictures, problems = read(place)
        assert is_whole(make, pictures) and not problems


@pytest.mark.parametrize(
    'fields', [{'schema': '', 'text': ''}, {'kind': 'sensor_msgs/Image'}, {'text': 'rubbish ? ?'}]
)
def test_standard_types_need_no_good_definition(make, tmp_path, fields):
    chatter = make.Sent('/chatter', (b'\0\1\0\0',), 'std_msgs/msg/String')
    pictures, problems = read(
        make.mcap(tmp_path / 'a.mcap', make.pictures(CAMERA, **fields), chatter)
    )
    assert is_whole(make, pictures) and not problems


def test_ros1_messages_in_an_mcap(make, tmp_path):
    text, _ = make.ROS1.generate_msgdef('sensor_msgs/msg/Image', ros_version=1)
    raw = tuple(make.image(make.T0 + i, *make.pixels_of('colour', i), make.ROS1) for i in range(3))
    sent = make.Sent(CAMERA, raw, 'sensor_msgs/Image', 'ros1', 'ros1msg', text)
    path = make.mcap(tmp_path / 'a.mcap', sent, profile='ros1')
    pictures, problems = read(path)
    assert is_whole(make, pictures) and not problems
    with Bag(path) as bag:
        assert [m.stamp_ns for m in bag.messages([CAMERA])] == [make.T0 + i for i in range(3)]


def test_a_type_that_nobody_knows_is_one_line(make, tmp_path):
    path = make.mcap(tmp_path / 'a.mcap', make.Sent('/x', (b'\0\1\0\0',), 'a_msgs/msg/B', text=''))
    with Bag(path) as bag:
        message = next(bag.messages(['/x']))
        with pytest.raises(InputError, match=r'/x: .*expected a definition of a_msgs/msg/B'):
            bag.deserialize(message)


def test_a_damaged_chunk_is_named_and_the_rest_is_read(make, tmp_path):
    path = make.mcap(tmp_path / 'a.mcap', make.pictures(CAMERA, count=9))
    data = bytearray(path.read_bytes())
    place = len(data) // 2
    data[place : place + 64] = bytes(64)
    path.write_bytes(data)
    pictures, problems = read(path)
    assert 6 <= len(pictures) < 9
    assert any('chunk at byte' in problem for problem in problems)
    assert f'{path}: {CAMERA}: {len(pictures)} of 9 messages could be read' in problems


def test_one_bad_file_of_a_split_bag_leaves_the_others(make, tmp_path):
    make.mcap(tmp_path / 'a_0.mcap', make.pictures(CAMERA))
    (tmp_path / 'a_1.mcap').write_bytes(b'rubbish' * 9)
    pictures, problems = read(tmp_path)
    assert is_whole(make, pictures)
    assert sum('a_1.mcap: not a readable bag' in problem for problem in problems) == 1


def test_messages_come_in_order_though_chunks_overlap(make, tmp_path):
    path = make.mcap(
        tmp_path / 'a.mcap', *(make.pictures(f'/c{i}/image', count=5) for i in range(3))
    )
    with Bag(path) as bag:
        logs = [m.log_ns for m in bag.messages([t.name for t in bag.topics])]
        late = [m.log_ns for m in bag.messages(['/c1/image'], make.T0 + 100_000_000)]
    assert len(logs) == 15 and logs == sorted(logs)
    assert late == [make.T0 + i * 50_000_000 for i in (2, 3, 4)]


def test_what_is_a_bag(make, tmp_path):
    assert not is_bag(tmp_path)
    path = make.mcap(tmp_path / 'a.mcap', make.pictures(CAMERA))
    assert is_bag(path) and is_bag(tmp_path)
    assert not is_bag(tmp_path / 'a.png')


READ_DAMAGED = """
import sys
from pathlib import Path
import numpy as np
from seg_node.bags.bag import Bag
from seg_node.errors import InputError
whole = Path(sys.argv[1]).read_bytes()
random = np.random.default_rng(int(sys.argv[3]))
target = Path(sys.argv[2])
read = refused = 0
for _ in range(120):
    data = bytearray(whole)
    kind = random.integers(3)
    if kind == 0:
        for place in random.integers(0, len(data), random.integers(1, 30)):
            data[place] = random.integers(256)
    elif kind == 1:
        del data[random.integers(len(data)) :]
    else:
        place = random.integers(len(data) - 16)
        data[place : place + random.integers(2, 16)] = b'\\xff' * 8
    target.write_bytes(data)
    try:
        with Bag(target) as bag:
            for message in bag.messages([topic.name for topic in bag.topics]):
                message.stamp_ns, message.frame_id
                try:
                    bag.deserialize(message)
                except InputError:
                    pass
            assert not any('\\n' in problem for problem in bag.problems)
        read += 1
    except InputError as error:
        assert '\\n' not in str(error)
        refused += 1
assert read > 20, read
"""


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros1'])
def test_damaged_files_give_what_is_left_or_one_line(make, tmp_path, kind):
    """And a damaged length takes no memory: the process may have 1 GiB."""
    if kind == 'mcap':
        whole = make.mcap(tmp_path / 'a.mcap', make.pictures(CAMERA), make.infos('/i'))
    elif kind == 'sqlite3':
        whole = next(make.sqlite(tmp_path / 'bag', make.pictures(CAMERA)).glob('*.db3'))
    else:
        from rosbags.rosbag1 import Writer

        whole = tmp_path / 'a.bag'
        with Writer(whole) as writer:
            connection = writer.add_connection(
                CAMERA, 'sensor_msgs/msg/Image', typestore=make.ROS1
            )
            for i in range(3):
                raw = make.image(make.T0, *make.pixels_of('colour', i), make.ROS1)
                writer.write(connection, make.T0 + i, raw)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))

    target = tmp_path / f'damaged{whole.suffix}'
    ended = subprocess.run(
        [sys.executable, '-c', READ_DAMAGED, str(whole), str(target), '7'],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=150,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_a_definition_that_leaves_out_standard_parts(make, tmp_path):
    text = make.ROS2.generate_msgdef('sensor_msgs/msg/Image', ros_version=2)[0].split('=' * 80)[0]
    raw = make.image(make.T0, *make.pixels_of('colour'))
    sent = make.Sent('/x', (raw,), 'a/msg/B', text=text)
    with Bag(make.mcap(tmp_path / 'a.mcap', sent)) as bag:
        (message,) = bag.messages(['/x'])
        assert bag.deserialize(message).header.frame_id == 'cam'


WRONG_ROWS = {
    'time as text': ("UPDATE messages SET timestamp = 'noon' WHERE id = 2", 2),
    'data as a number': ('UPDATE messages SET data = 4611686018427387904 WHERE id = 2', 2),
    'data as text': ("UPDATE messages SET data = 'pixels' WHERE id = 2", 2),
    'a type that is a number': ("UPDATE topics SET type = 7 WHERE name = '/other'", 3),
    'a name that is not UTF-8': ("UPDATE topics SET name = CAST(x'ff' AS TEXT) WHERE id = 2", 3),
    'a definition that is none': ("UPDATE message_definitions SET encoding = x'ff'", 3),
}


@pytest.mark.parametrize('kind', WRONG_ROWS)
def test_rows_that_no_recorder_writes_are_left_out(make, tmp_path, kind):
    change, left = WRONG_ROWS[kind]
    folder = make.sqlite(tmp_path / 'bag', make.pictures(CAMERA), make.pictures('/other', 'grey'))
    with closing(sqlite3.connect(next(folder.glob('*.db3')))) as database, database:
        assert database.execute(change).rowcount > 0
    pictures, problems = read(folder)
    assert len(pictures) == left
    assert [f'{left} of 3 messages could be read' in p for p in problems] == [True] * (left < 3)


@pytest.mark.parametrize(
    ('old', 'new'), [('uint32 height\n', ''), ('uint32 height', 'string height')]
)
def test_a_definition_that_is_not_that_of_ros_is_not_believed(make, tmp_path, old, new):
    text = make.ROS2.generate_msgdef('sensor_msgs/msg/Image', ros_version=2)[0]
    path = make.mcap(tmp_path / 'a.mcap', make.pictures(CAMERA, text=text.replace(old, new)))
    pictures, problems = read(path)
    assert is_whole(make, pictures) and not problems


def test_aliases_of_aliases_in_metadata_do_not_hang(make, tmp_path):
    folder = make.sqlite(tmp_path / 'bag', make.pictures(CAMERA))
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    lines += [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 10)]
    information = 'rosbag2_bagfile_information: {relative_file_paths: [], compression_mode: *a9}'
    (folder / 'metadata.yaml').write_text('\n'.join([*lines, information]))
    pictures, problems = read(folder)
    assert is_whole(make, pictures)
    assert len(problems) == 1 and 'storage files read directly' in problems[0]
