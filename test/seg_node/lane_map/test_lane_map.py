"""The lane map on a flat world whose truth is known."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_node.camera.intrinsics import Intrinsics
from seg_node.classes import LANE
from seg_node.errors import ConfigError, FrameError, InputError
from seg_node.lane_map import Evidence, LaneMap, MapOptions, VoxelGrid, lane_point_array
from seg_node.lane_map.compare import CompareOptions, Sight, TrueMarkings, compare, distances
from seg_node.lane_map.hash_index import HashIndex
from seg_node.lane_map.polylines import trace
from seg_node.lane_map.save import save_map
from seg_node.lane_map.store import ROW, BlockStore
from seg_node.lane_map.voxels import Voxels


def drive(road, lane_map, *, length=24.0, step=0.5, change=None):
    """Poses of a drive along x; `change(mask, i)` may damage the masks."""
    poses = []
    for i, x in enumerate(np.arange(0.0, length, step)):
        pose = road.pose(x, 0.2 * np.sin(x), 0.03 * np.cos(x))
        mask = road.mask(pose)
        if change is not None:
            mask = change(mask.copy(), i)
        lane_map.update(road.points(mask), pose, road.view(mask))
        poses.append(pose)
    return np.array(poses)


def true_stripes(road):
    return TrueMarkings([np.array([[0.0, y], [60.0, y]]) for y in road.offsets])


def xy(points):
    return np.stack([points['x'], points['y']], axis=1).astype(float)


def test_truth_masks_give_the_true_map(road):
    lane_map = LaneMap()
    poses = drive(road, lane_map)
    sight = Sight(poses, np.radians(80.0), 10.0, 4.0)
    found = compare(xy(lane_map.points()), true_stripes(road), CompareOptions(sight=sight))
    assert found.median_error_m <= 0.05  # a stripe of 0.15 m seen with pixels of 2 cm and more
    assert found.p95_error_m <= 0.10
    assert found.coverage >= 0.9
    assert found.true_length_m > 60


def test_false_hits_lose_and_vanish(road):
    def ghost(mask, i):
        if i % 4 == 0:
            mask[120:130, 100:200][mask[120:130, 100:200] == 1] = 2
        return mask

    options = MapOptions(min_hits=1.0, min_length_m=0.0)
    plain, naive = LaneMap(options), LaneMap(options)
    for i, x in enumerate(np.arange(0.0, 16.0, 0.25)):
        pose = road.pose(x)
        mask = ghost(road.mask(pose), i)
        plain.update(road.points(mask), pose, road.view(mask))
        naive.update(road.points(mask), pose)

    def far(lane_map):
        return np.mean(distances(xy(lane_map.points()), true_stripes(road)) > 0.3)

    assert far(naive) > 0.2
    assert far(plain) < 0.2 * far(naive)


def test_a_repainted_stripe_is_forgotten(road):
    lane_map = LaneMap()
    pose = road.pose(0.0)
    for _ in range(80):
        mask = road.mask(pose)
        lane_map.update(road.points(mask), pose, road.view(mask))
    assert len(lane_map.points()) > 100
    bare = np.where(road.mask(pose) == 2, 1, road.mask(pose)).astype(np.uint8)
    for _ in range(200):
        lane_map.update(road.points(bare), pose, road.view(bare))
    assert len(lane_map.points()) == 0


def test_hidden_markings_stay(road):
    from seg_node.camera.depth import Depth

    lane_map = LaneMap()
    pose, mask = road.pose(0.0), road.mask(road.pose(0.0))
    for _ in range(3):
        lane_map.update(road.points(mask), pose, road.view(mask))
    before = len(lane_map.points())
    wall = Depth(np.full(mask.shape, 1.0, np.float32), '32FC1')
    covered = Evidence(np.zeros_like(mask), road.intrinsics, (2,), (1,), wall)
    for _ in range(40):
        lane_map.update(road.points(covered.mask), pose, covered)
    assert len(lane_map.points()) == before


def test_bad_input_is_refused(road):
    lane_map = LaneMap()
    points = lane_point_array(np.ones((3, 3), np.float32))
    with pytest.raises(InputError, match='finite'):
        lane_map.update(points, np.full((4, 4), np.nan))
    mask = road.mask(road.pose(0.0))
    zeros = Evidence(mask, Intrinsics(road.size, (0.0,) * 9, (0.0,) * 12), (2,), (1,))
    with pytest.raises(FrameError, match='not calibrated'):
        lane_map.update(points, np.eye(4), zeros)
    assert len(lane_map) == 0
    points['x'][1] = np.nan
    lane_map.update(points, np.eye(4))
    assert np.isfinite(xy(lane_map.points())).all()
    with pytest.raises(ConfigError, match='min_ratio'):
        MapOptions(min_ratio=2.0)
    with pytest.raises(ConfigError, match='voxel size'):
        VoxelGrid(0.0)


def test_memory_is_bounded_and_the_best_voxels_stay():
    lane_map = LaneMap(MapOptions(max_voxels=2000))
    row, column = np.divmod(np.arange(400), 80)
    xyz = np.stack([column * 0.05, row * 0.05, np.full(400, 3.0)], axis=1).astype(np.float32)
    strong = lane_point_array(xyz)
    for _ in range(3):
        lane_map.update(strong, np.eye(4))
    rng = np.random.default_rng(3)
    for i in range(40):
        pose = np.eye(4)
        pose[:3, 3] = (100.0 * i, 50.0, 0.0)
        lane_map.update(lane_point_array(rng.uniform(0, 5, (300, 3)).astype(np.float32)), pose)
        assert len(lane_map) <= 2000
    points = lane_map.points()
    assert len(points) >= 400
    assert (points['x'] < 5).all()


def long_drive(lane_map, metres=500.0):
    """There and back along dashes of three metres, seen from above every metre."""
    there = np.arange(0.0, metres, 1.0)
    for x in (*there, *there[::-1]):
        along = np.arange(max(0.0, x - 4.0), x + 4.0, 0.05)
        along = along[along % 6.0 < 3.0]
        xyz = np.stack([along - x, np.zeros_like(along), np.full_like(along, 3.0)], axis=1)
        pose = np.eye(4)
        pose[0, 3] = x
        lane_map.update(lane_point_array(xyz.astype(np.float32)), pose)


@pytest.fixture
def whole():
    lane_map = LaneMap(MapOptions())
    long_drive(lane_map)
    return lane_map.points()


def test_what_memory_does_not_hold_is_on_disk_and_comes_back(tmp_path, whole):
    lane_map = LaneMap(MapOptions(max_voxels=2500, overflow=tmp_path / 'cache'))
    long_drive(lane_map)
    assert lane_map.stored > 1000
    assert lane_map.forgotten == 0
    assert list((tmp_path / 'cache').iterdir()) == []  # the file has no name
    near = lane_map.points(stored=False)
    assert 0 < len(near) <= 2500
    assert near['x'].max() < 300.0 < whole['x'].max()
    points = lane_map.points()
    for array in (points, whole):
        array.sort(order=['x', 'y', 'z'])
    np.testing.assert_allclose(points['x'], whole['x'], atol=1e-3)
    np.testing.assert_allclose(points['hits'], whole['hits'], rtol=1e-5)
    lane_map.reset()
    assert len(lane_map) == 0


def test_a_full_disk_is_told_and_the_weakest_are_forgotten(tmp_path, whole):
    (tmp_path / 'cache').write_text('in the way')
    lane_map = LaneMap(MapOptions(max_voxels=2500, overflow=tmp_path / 'cache'))
    long_drive(lane_map)
    assert str(tmp_path / 'cache') in lane_map.problem
    assert lane_map.stored == 0
    assert lane_map.forgotten > 1000
    assert 0 < len(lane_map.points()) <= 2500


def test_evidence_that_is_seen_while_a_block_is_away_adds_up(tmp_path):
    store = BlockStore(tmp_path)
    voxels = Voxels(VoxelGrid(), 1000, store)
    points = np.zeros((300, 3))
    points[:, 0] = np.arange(300) * 0.05
    ones = np.ones(300, np.float32)
    for _ in range(2):
        voxels.come_near(np.array([1000.0, 0.0, 0.0]), 10.0)  # the points are far from here
        rows = voxels.add(points, ones, np.full(300, 2, np.uint8), tick=1)
        voxels.add_evidence(rows, ones, 0 * ones)
        others = np.add(points, (1000.0, 0.0, 0.0))
        for shift in range(5):
            voxels.add(np.add(others, (0, shift, 0)), ones, np.full(300, 2, np.uint8), tick=2)
    assert store.blocks == ((0, 0),)
    voxels.come_near(np.zeros(3), 10.0)
    assert (0, 0) not in store
    found = np.concatenate(list(voxels.parts()))
    mine = found[found['hits'] > 0]
    assert len(mine) == 300
    assert (mine['hits'] == 2.0).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000)), max_size=12))
def test_block_store_is_a_dictionary_of_arrays(puts):
    with tempfile.TemporaryDirectory() as folder:
        store, model = BlockStore(Path(folder)), {}
        for number, count in puts:
            block = (number, -number)
            if block in model:
                np.testing.assert_array_equal(store.take(block), model.pop(block))
            rows = np.zeros(count, ROW)
            rows['key'] = np.arange(count) + number
            store.put(block, rows)
            model[block] = rows
            assert len(store) == sum(map(len, model.values()))
        for block, rows in model.items():
            np.testing.assert_array_equal(store.read(block), rows)
        pages = sum(-(-len(rows) // 1024) for rows in model.values())
        assert store.nbytes >= pages * 1024 * ROW.itemsize
        store.clear()


def test_short_pieces_are_left_out():
    lane_map = LaneMap(MapOptions(min_length_m=1.0))
    along = np.arange(0.0, 2.0, 0.03)
    long = np.stack([along, np.zeros_like(along), np.full_like(along, 3.0)], 1)
    short = np.add(long[:20], (0.0, 2.0, 0.0))
    for _ in range(3):
        for part in (long, short):
            lane_map.update(lane_point_array(part.astype(np.float32)), np.eye(4))
    assert np.ptp(lane_map.points()['x']) > 1.8
    assert (lane_map.points()['y'] < 1.0).all()
    assert (lane_map.points(confirmed=False)['y'] > 1.0).any()


def test_class_is_by_majority():
    lane_map = LaneMap(MapOptions(min_length_m=0.0))
    xyz = np.array([[1.0, 1.0, 2.0]], np.float32)
    for class_id in (3, 4, 4, 3, 4, 4):
        lane_map.update(lane_point_array(xyz, class_id), np.eye(4))
    assert lane_map.points()['class'].tolist() == [4]


@given(st.lists(st.lists(st.integers(0, 400), max_size=30), max_size=30))
def test_hash_index_is_a_dictionary(batches):
    index, expected = HashIndex(16), {}
    for batch in batches:
        keys = np.unique(np.array(batch, np.int64)) * 7919
        rows, new = index.insert(keys)
        for key, row, fresh in zip(keys.tolist(), rows.tolist(), new.tolist()):
            assert fresh == (key not in expected)
            assert expected.setdefault(key, row) == row
    assert sorted(expected.values()) == list(range(len(index)))
    asked = np.arange(401, dtype=np.int64) * 7919
    assert index.find(asked).tolist() == [expected.get(k, -1) for k in asked.tolist()]


def test_voxels_near_are_found_through_tiles():
    rng = np.random.default_rng(1)
    voxels = Voxels(VoxelGrid(), 10000)
    points = rng.uniform(-40, 40, (3000, 3)) * (1, 1, 0)
    voxels.add(points, np.ones(3000, np.float32), np.full(3000, 2, np.uint8), 1)
    centre, forward = np.array([3.0, -2.0, 1.0]), np.array([0.6, 0.8, 0.0])
    rows = voxels.near(centre, forward, 12.0)
    where = voxels.positions(np.arange(len(voxels), dtype=np.int32))
    way = where - centre
    wanted = np.flatnonzero((np.hypot(way[:, 0], way[:, 1]) < 12.0) & (way @ forward > 0))
    assert set(wanted) <= set(rows.tolist())
    assert len(rows) == len(set(rows.tolist()))
    assert len(rows) < 0.5 * len(voxels)


def test_polylines_follow_the_stripes(road):
    lane_map = LaneMap(MapOptions(min_hits=0.5))
    drive(road, lane_map)
    lines = [line for line in trace(lane_map.points()) if line.length_m > 5]
    middles = sorted(float(line.points[:, 1].mean()) for line in lines)
    assert middles == pytest.approx(road.offsets, abs=0.04)
    for line in lines:
        assert line.class_id == 2
        assert len(line.points) < 12
        assert distances(line.points[:, :2], true_stripes(road)).max() < 0.04


def test_a_ring_and_a_crossing_are_traced():
    lane_map = LaneMap(MapOptions(min_hits=0.1, min_length_m=0.5))
    turn = np.arange(0, 2 * np.pi, 0.004)
    ring = np.stack([5 * np.cos(turn), 5 * np.sin(turn), np.full_like(turn, 2.0)], 1)
    across = np.stack([np.linspace(8, 12, 200), np.zeros(200), np.full(200, 2.0)], 1)
    down = np.stack([np.full(200, 10.0), np.linspace(-2, 2, 200), np.full(200, 2.0)], 1)
    for part in (ring, across, down):
        lane_map.update(lane_point_array(part.astype(np.float32)), np.eye(4))
    lines = trace(lane_map.points())
    total = sum(line.length_m for line in lines)
    assert total == pytest.approx(2 * np.pi * 5 + 8, rel=0.08)
    assert len(lines) <= 6


def test_compare_measures_what_it_says():
    line = np.array([[0.0, 0.0], [10.0, 0.0]])
    area = np.array([[20.0, 0.0], [22.0, 0.0], [22.0, 2.0], [20.0, 2.0]])
    truth = TrueMarkings([line], [area])
    points = np.stack([np.linspace(0, 5, 501), np.full(501, 0.1)], 1)
    found = compare(points, truth)
    assert found.median_error_m == pytest.approx(0.1, abs=0.001)
    assert found.coverage == pytest.approx(0.52, abs=0.01)
    assert found.true_length_m == pytest.approx(10, abs=0.1)
    assert distances(np.array([[21.0, 1.0], [21.0, 2.5], [23.0, 1.0]]), truth) == pytest.approx(
        [0.0, 0.5, 1.0], abs=0.01
    )
    assert compare(np.empty((0, 2)), truth).coverage == 0.0
    with pytest.raises(InputError, match='got none'):
        compare(points, TrueMarkings([]))


def test_sight_asks_only_for_what_was_seen():
    from seg_node.transforms import Pose, optical_mount

    pose = Pose.of_euler(0, 0, 0, yaw=np.pi / 2).matrix() @ optical_mount(Pose())
    points = np.array([[0.0, 5.0], [0.0, 15.0], [5.0, 0.0], [0.0, -5.0], [1.0, 4.0]])
    sees = Sight(pose[None], np.radians(90), 10.0, 1.0).sees(points)
    assert sees.tolist() == [True, False, False, False, True]


def test_saved_files_hold_the_map(road, tmp_path):
    lane_map = LaneMap()
    with pytest.raises(InputError, match='empty'):
        save_map(lane_map, tmp_path)
    poses = drive(road, lane_map, length=12.0)
    saved = save_map(lane_map, tmp_path, frame_id='odom', track=poses[:, :3, 3])
    points = lane_map.points()
    ply = (tmp_path / 'lane_map.ply').read_bytes()
    head, body = ply.split(b'end_header\n', 1)
    assert f'element vertex {len(points)}'.encode() in head
    assert len(body) == len(points) * 20
    assert np.frombuffer(body[:12], '<f4') == pytest.approx([points[n][0] for n in 'xyz'])
    pcd = (tmp_path / 'lane_map.pcd').read_bytes()
    head, body = pcd.split(b'DATA binary\n', 1)
    assert f'POINTS {len(points)}'.encode() in head
    assert len(body) == len(points) * 21
    shape = json.loads((tmp_path / 'lane_map.geojson').read_text())
    assert shape['frame_id'] == 'odom'
    assert len(shape['features']) == saved.lines >= 3
    first = shape['features'][0]
    assert first['properties']['class'] == LANE.names[2]
    assert len(first['geometry']['coordinates'][0]) == 3


def test_picture_is_to_scale(road, tmp_path):
    import cv2

    lane_map = LaneMap()
    drive(road, lane_map, length=12.0)
    save_map(lane_map, tmp_path)
    picture = cv2.imread(str(tmp_path / 'lane_map.png'))
    scale = json.loads((tmp_path / 'lane_map.json').read_text())
    points = lane_map.points()
    u = np.rint((points['x'] - scale['x0']) / scale['metres_per_pixel']).astype(int)
    v = np.rint((scale['y0'] - points['y']) / scale['metres_per_pixel']).astype(int)
    green = picture[v, u].astype(int)
    assert np.mean((green[:, 1] > green[:, 0] + 30) & (green.sum(1) < 500)) > 0.98
