"""A finished RTAB-Map database is painted: pictures change, the graph does not."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_node.classes import LANE
from seg_node.cli import main
from seg_node.errors import InputError
from seg_node.rgbd import RgbdMode
from seg_node.rtabmap.database import open_map
from seg_node.rtabmap.paint import paint_map
from seg_node.rtabmap.pictures import decode_depth, encode_depth, read_calibration

SCHEMA = """
CREATE TABLE Node (id INTEGER NOT NULL, map_id INTEGER NOT NULL, weight INTEGER, stamp FLOAT,
    pose BLOB, label TEXT, PRIMARY KEY (id));
CREATE TABLE Data (id INTEGER NOT NULL, image BLOB, depth BLOB, calibration BLOB, scan BLOB,
    user_data BLOB, time_enter DATE, PRIMARY KEY (id));
CREATE TABLE Link (from_id INTEGER NOT NULL, to_id INTEGER NOT NULL, type INTEGER NOT NULL,
    information_matrix BLOB NOT NULL, transform BLOB);
CREATE TABLE Admin (version TEXT, preview_image BLOB, opt_cloud BLOB, opt_ids BLOB,
    opt_poses BLOB, opt_polygons BLOB, opt_map BLOB, time_enter DATE);
CREATE TRIGGER insert_Data_timeEnter AFTER INSERT ON Data
BEGIN UPDATE Data SET time_enter = DATETIME('NOW') WHERE rowid = new.rowid; END;
"""
ROAD, MARKING, NEITHER = (0, 200, 0), (0, 0, 200), (200, 0, 0)
"""Colours (BGR) that the contract model of the tests takes for its classes."""


def scene(width: int = 64, height: int = 32) -> np.ndarray:
    """Upper half neither, lower half road, with a marking 8 columns wide."""
    picture = np.full((height, width, 3), NEITHER, np.uint8)
    picture[height // 2 :] = ROAD
    picture[height // 2 :, 24:32] = MARKING
    return picture


def calibration(*widths: int, kind: int = 0, version: tuple[int, int] = (0, 23)) -> bytes:
    models = []
    for width in widths:
        head = struct.pack('<11i', *version, 8, kind, width, 32, 9, 0, 0, 0, 12)
        models.append(head + np.zeros(9, '<f8').tobytes() + np.zeros(12, '<f4').tobytes())
    return b''.join(models)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode('.png', pixels)[1].tobytes()


def decoded(blob: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED)


def rvl(depth: np.ndarray) -> bytes:
    """Depth as RTAB-Map stores it with Mem/DepthCompressionFormat .rvl."""
    nibbles: list[int] = []

    def number(value: int) -> None:
        while True:
            nibbles.append((value & 7) | (8 if value >> 3 else 0))
            value >>= 3
            if not value:
                return

    flat, place, last = depth.ravel().astype(int), 0, 0
    while place < flat.size:
        zeros = place
        while zeros < flat.size and flat[zeros] == 0:
            zeros += 1
        end = zeros
        while end < flat.size and flat[end] != 0:
            end += 1
        number(zeros - place)
        number(end - zeros)
        for value in flat[zeros:end]:
            step = int(value) - last
            number((step << 1) ^ (step >> 31))
            last = int(value)
        place = end
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        sum(n << (28 - 4 * i) for i, n in enumerate(nibbles[k : k + 8]))
        for k in range(0, len(nibbles), 8)
    ]
    head = b'DEPTHRVL' + struct.pack('<II', depth.shape[1], depth.shape[0])
    return head + np.asarray(words, '<u4').tobytes()


@pytest.fixture
def make_map(tmp_path):
    """A database of the nodes given as (image, depth, calibration)."""

    def make(*nodes: tuple[bytes, bytes | None, bytes], version: str = '0.23.8') -> Path:
        path = tmp_path / 'map.db'
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            connection.executescript(SCHEMA)
            connection.execute(
                'INSERT INTO Admin (version, preview_image, opt_cloud, opt_poses) '
                'VALUES (?, ?, ?, ?)',
                (version, b'old', b'old', b'poses'),
            )
            for i, (image, depth, models) in enumerate(nodes, 1):
                connection.execute('INSERT INTO Node VALUES (?, 0, 0, ?, ?, NULL)', (i, i, b'p'))
                connection.execute(
                    'INSERT INTO Data (id, image, depth, calibration, scan) '
                    'VALUES (?, ?, ?, ?, ?)',
                    (i, image, depth, models, b'scan'),
                )
            connection.execute('INSERT INTO Link VALUES (2, 1, 1, ?, ?)', (b'i', b't'))
        connection.close()
        return path

    return make


def rows(path: Path, query: str) -> list:
    with sqlite3.connect(path) as connection:
        answer = connection.execute(query).fetchall()
    connection.close()
    return answer


def paint(contract_model: Path, source: Path, target: Path, *words: str) -> int:
    files = [str(source), '-o', str(target), '--model', str(contract_model)]
    return main(['rtabmap-paint', *files, '--no-cache', *words])


def test_colours_become_the_painted_mask_and_the_graph_stays(make_map, contract_model, tmp_path):
    depth = np.full((32, 64), 1500, np.uint16)
    node = (png(scene()), png(depth), calibration(64))
    source, target = make_map(node, node), tmp_path / 'painted.db'
    before = source.read_bytes()
    assert paint(contract_model, source, target) == 0
    assert source.read_bytes() == before
    for (blob,) in rows(target, 'SELECT image FROM Data'):
        assert blob.startswith(b'\x89PNG')
        painted = decoded(blob)
        palette = LANE.palette_bgr
        assert (painted[20, 28] == palette[LANE.id_of('lane_marking')]).all()
        assert (painted[20, 50] == palette[LANE.id_of('road')]).all()
        assert (painted[4] == 0).all()
    for query in (
        'SELECT * FROM Node',
        'SELECT * FROM Link',
        'SELECT id, depth, calibration, scan, time_enter FROM Data',
        'SELECT version, opt_poses FROM Admin',
    ):
        assert rows(target, query) == rows(source, query)
    assert rows(target, 'SELECT preview_image, opt_cloud FROM Admin') == [(None, None)]


@pytest.mark.parametrize('mode', ['lanes_only', 'road_only', 'drop_classes'])
@pytest.mark.parametrize('kind', ['16UC1', 'rvl', '32FC1'])
def test_depth_is_cut_as_the_node_cuts_it(make_map, contract_model, tmp_path, mode, kind):
    metres = np.linspace(1.0, 40.0, 32 * 64, dtype=np.float32).reshape(32, 64)
    metres[10] = 0.0
    millimetres = (metres * 1000).astype(np.uint16)
    stored = {
        '16UC1': lambda: png(millimetres),
        'rvl': lambda: rvl(millimetres),
        '32FC1': lambda: png(metres.view(np.uint8).reshape(32, 64, 4)),
    }[kind]()
    source, target = make_map((png(scene()), stored, calibration(64))), tmp_path / 'painted.db'
    drop = ['--drop-classes', 'road'] if mode == 'drop_classes' else []
    assert paint(contract_model, source, target, '--mode', mode, *drop) == 0
    ((image, blob),) = rows(target, 'SELECT image, depth FROM Data')
    assert image == png(scene())
    depth = decode_depth(blob)
    expected = metres if kind == '32FC1' else millimetres
    assert depth.pixels.dtype == expected.dtype
    kept = {
        'lanes_only': ((28, True), (50, False)),
        'road_only': ((28, True), (50, True)),
        'drop_classes': ((28, True), (50, False)),
    }[mode]
    for column, stays in kept:
        assert depth.pixels[20, column] == (expected[20, column] if stays else 0)
    assert depth.pixels[4, 4] == (expected[4, 4] if mode == 'drop_classes' else 0)


def test_cameras_side_by_side_are_segmented_each_for_itself(make_map, contract_model, tmp_path):
    both = np.hstack([scene(), np.full((32, 64, 3), NEITHER, np.uint8)])
    source, target = make_map((png(both), None, calibration(64, 64))), tmp_path / 'p.db'
    shapes = []

    def segment(frame):
        shapes.append((frame.height, frame.width))
        return np.zeros((frame.height, frame.width), np.uint8)

    mode = RgbdMode.of('lane_rgb', LANE)
    assert paint_map(source, target, mode, segment, lambda nodes, _: nodes).painted == 1
    assert shapes == [(32, 64), (32, 64)]


def test_what_cannot_be_painted_is_named_and_stays(make_map, contract_model, tmp_path, capsys):
    stereo = calibration(64, kind=1)
    good = (png(scene()), png(np.ones((32, 64), np.uint16)), calibration(64))
    source = make_map(good, (b'\xff\xd8 cut', None, b''), (png(scene()), png(scene()), stereo))
    target = tmp_path / 'painted.db'
    assert paint(contract_model, source, target, '--mode', 'road_only') == 1
    said = capsys.readouterr()
    assert '1 nodes painted' in said.out
    assert 'node 2: left as it was: expected a JPEG or PNG' in said.err
    assert 'node 3: left as it was: a stereo pair' in said.err
    assert rows(target, 'SELECT image FROM Data WHERE id = 2') == [(b'\xff\xd8 cut',)]


@pytest.mark.parametrize('version', ['0.17.6', '0.24.0', 'x'])
def test_a_schema_that_is_not_known_is_refused(
    make_map, contract_model, tmp_path, capsys, version
):
    source = make_map((png(scene()), None, calibration(64)), version=version)
    assert paint(contract_model, source, tmp_path / 'p.db') == 1
    assert f'of version 0.18 to 0.23, got {version}' in capsys.readouterr().err
    assert not (tmp_path / 'p.db').exists()


def test_what_is_no_map_is_one_line(contract_model, make_map, tmp_path, capsys):
    text, empty = tmp_path / 'text.db', tmp_path / 'empty.db'
    text.write_text('no database at all, but some text that is long enough' * 30)
    sqlite3.connect(empty).close()
    source = make_map((png(scene()), None, calibration(64)))
    for path, said in (
        (text, 'file is not a database'),
        (empty, 'its table Node lacks id, weight'),
        (tmp_path / 'none.db', 'there is no such file'),
    ):
        assert paint(contract_model, path, tmp_path / 'p.db') == 1
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
    assert paint(contract_model, source, source) == 1
    assert 'is the map itself' in capsys.readouterr().err
    assert list(tmp_path.glob('p.db*')) == []


def test_a_map_that_is_being_written_is_read_whole(make_map, contract_model, tmp_path):
    """RTAB-Map may have the file open: what it has stored is in the copy."""
    source = make_map((png(scene()), None, calibration(64)))
    with sqlite3.connect(source) as busy:
        busy.execute('PRAGMA journal_mode = WAL')
        busy.execute('INSERT INTO Node VALUES (9, 0, 0, 9, ?, NULL)', (b'p',))
        busy.commit()
        assert paint(contract_model, source, tmp_path / 'p.db') == 0
    busy.close()
    assert rows(tmp_path / 'p.db', 'SELECT count(*) FROM Node') == [(2,)]


def test_depth_comes_back_as_it_was():
    metres = np.array([[0.0, 1.25], [np.nan, 80.5]], np.float32)
    stored = decode_depth(png(metres.view(np.uint8).reshape(2, 2, 4)))
    again = decode_depth(encode_depth(stored))
    assert again.pixels.tobytes() == metres.tobytes()
    random = np.random.default_rng(3)
    deep = random.integers(0, 65536, (24, 32)).astype(np.uint16)
    deep[random.random(deep.shape) < 0.4] = 0
    assert (decode_depth(rvl(deep)).pixels == deep).all()


@pytest.mark.parametrize('length', [0, 7, 12, 20, 40])
def test_damaged_rvl_is_refused(length):
    whole = rvl(np.full((16, 16), 900, np.uint16))
    with pytest.raises(InputError):
        decode_depth(whole[:length])
    with pytest.raises(InputError, match='4294967295'):
        decode_depth(b'DEPTHRVL' + struct.pack('<II', 2**32 - 1, 2**32 - 1) + bytes(64))


def test_calibration_of_old_or_damaged_blobs_names_no_cameras():
    assert read_calibration(calibration(640, 320)).widths == (640, 320)
    assert read_calibration(calibration(640, version=(0, 11))).widths == ()
    assert read_calibration(None).widths == ()
    assert read_calibration(b'\x07' * 60).widths == ()
    assert read_calibration(calibration(640, kind=1)).stereo


def test_a_real_map(shared_data, contract_model, tmp_path):
    source = shared_data.parent / 'cases' / 'rtabmap' / 'car_park.db'
    if not source.is_file():
        pytest.skip('no real database beside the repository')
    target = tmp_path / 'painted.db'
    assert paint(contract_model, source, target) == 0
    with open_map(target) as painted:
        assert len(painted) == 8
        for node in painted.nodes():
            assert decoded(node.image).shape == (360, 640, 3)
            assert decode_depth(node.depth).encoding == '32FC1'
    assert rows(target, 'SELECT * FROM Link') == rows(source, 'SELECT * FROM Link')
