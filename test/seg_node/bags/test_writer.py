"""A bag that is written is whole for every reader, or not there."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from mcap.reader import make_reader

from seg_node.bags.bag import Bag
from seg_node.bags.writer import McapWriter
from seg_node.errors import InputError


def string(bag: McapWriter, text: str):
    return bag.types['std_msgs/msg/String'](text)


def test_what_is_written_is_read_again(make, tmp_path):
    path = tmp_path / 'new' / 'a.mcap'
    raw = make.image(make.T0, *make.pixels_of('colour'))
    with McapWriter(path) as bag:
        bag.put('/a', make.T0 + 1, string(bag, 'x'))
        bag.put_serialized('/image', make.T0, 'sensor_msgs/msg/Image', raw)
        bag.put('/static', make.T0, string(bag, 'y'), latched=True)
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ['a.mcap']
    with Bag(path) as read:
        assert [(t.name, t.count) for t in read.topics] == [
            ('/a', 1),
            ('/image', 1),
            ('/static', 1),
        ]
        (message,) = read.messages(['/a'])
        assert (message.log_ns, read.deserialize(message).data) == (make.T0 + 1, 'x')
        (message,) = read.messages(['/image'])
        assert message.raw == raw
        assert not read.problems
    with path.open('rb') as stream:
        channels = make_reader(stream).get_summary().channels.values()
    qos = {c.topic: c.metadata['offered_qos_profiles'] for c in channels}
    assert 'transient_local' in qos['/static'] and 'transient_local' not in qos['/a']


def test_a_block_that_fails_leaves_what_stood_there(make, tmp_path):
    path = tmp_path / 'a.mcap'
    path.write_bytes(b'before')
    with pytest.raises(KeyError), McapWriter(path) as bag:
        bag.put('/a', make.T0, string(bag, 'x'))
        raise KeyError
    assert path.read_bytes() == b'before'
    assert [p.name for p in tmp_path.iterdir()] == ['a.mcap']


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r'a\.bag: expected a name that ends in \.mcap'):
        McapWriter(tmp_path / 'a.bag')
    (tmp_path / 'file').touch()
    with (
        pytest.raises(InputError, match=r'file/a\.mcap: cannot be written: '),
        McapWriter(tmp_path / 'file' / 'a.mcap'),
    ):
        pass


FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from seg_node.bags.writer import McapWriter
from seg_node.errors import InputError
path = Path(sys.argv[1])
try:
    with McapWriter(path) as bag:
        for i in range(200):
            text = np.random.default_rng(i).bytes(20_000).hex()
            bag.put('/a', i, bag.types['std_msgs/msg/String'](text))
except InputError as error:
    print(error)
"""


def test_a_full_disk_is_one_line(tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    path = tmp_path / 'a.mcap'
    ended = subprocess.run(
        [sys.executable, '-c', FULL_DISK, str(path)],
        capture_output=True, text=True, preexec_fn=limit, timeout=100,
    )  # fmt: skip
    assert ended.stdout == f'{path}: cannot be written: File too large\n', ended.stderr
    assert list(tmp_path.iterdir()) == []
