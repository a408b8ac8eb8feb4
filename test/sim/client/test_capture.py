"""Captures on the embedded server: both layouts, resuming, lane types, bags."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from seg_node.camera.depth import decode_depth_image
from seg_node.class_map import load_class_map
from seg_node.classes import LANE_TYPES
from seg_node.cli import main
from seg_node.images.frames import decode
from seg_node_sim.client.session import Address

REPOSITORY = Path(__file__).resolve().parents[3]


def command(address: Address, *arguments: object) -> list[str]:
    where = ['--host', address.host, '--port', address.port, '--size', '160x96']
    words = ['-m', 'seg_node', 'sim', 'capture', *where, *arguments]
    return [sys.executable, *map(str, words)]


def run(address: Address, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(address, *arguments), capture_output=True, text=True, timeout=150, cwd=REPOSITORY
    )


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


@pytest.fixture(scope='module')
def captured(embedded: Address, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('capture') / 'whole'
    done = run(embedded, '-o', folder, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return folder


OPTIONS = (
    '--frames', 6, '--frames-per-drive', 3, '--town', 'Grid', '--town', 'Highway', '--traffic', 4,
    '--layout', 'both', '--lane-types', '--every', 2, '--val', 0.5, '--test', 0, '--seed', 2,
)  # fmt: skip


def test_both_layouts_show_the_same_truth(captured: Path) -> None:
    frames = [json.loads(line) for line in (captured / 'metadata.jsonl').open()]
    assert len(frames) == 6 and {f['split'] for f in frames} == {'train', 'val'}
    classes = json.loads((captured / 'classes.json').read_text())
    assert len(classes) == 23 and classes[6]['name'] == 'RoadLine'
    palette = load_class_map('carla_palette')
    for frame in frames:
        label = cv2.imread(str(captured / frame['label']), cv2.IMREAD_UNCHANGED)
        seg = cv2.imread(str(captured / frame['seg']))
        assert label.shape == seg.shape[:2] == (96, 160)
        assert f'/{frame["split"]}/' in frame['rgb']
        assert (palette.apply_colours(seg[..., ::-1]) == label).all()
        assert {1, 2} <= set(np.unique(label))
        jpg = cv2.imread(str(captured / frame['image'])).astype(int)
        png = cv2.imread(str(captured / frame['rgb'])).astype(int)
        assert np.abs(jpg - png).mean() < 8.0
    listed = {s: (captured / f'{s}.txt').read_text().split() for s in ('train', 'val')}
    assert listed['train'] + listed['val'] == [f['name'] for f in frames] or listed[
        'val'
    ] + listed['train'] == [f['name'] for f in frames]


def test_lane_types_agree_with_the_lane_labels(captured: Path) -> None:
    seen = set()
    for frame in (json.loads(line) for line in (captured / 'metadata.jsonl').open()):
        label = cv2.imread(str(captured / frame['label']), cv2.IMREAD_UNCHANGED)
        types = cv2.imread(str(captured / frame['lane_types']), cv2.IMREAD_UNCHANGED)
        known = types != 255
        lines = known & (types >= LANE_TYPES.id_of('double_line'))
        assert (label[lines] == 2).all()  # only paint is a line
        assert (types[label == 0] == 0).all()
        if frame['town'] == 'Grid':  # no shoulders there: nearly all road is a lane
            assert ((types > 0) & known)[label == 1].mean() > 0.85
        assert types[90, 80] in (LANE_TYPES.id_of('ego_lane'), 0)  # straight ahead, or a bonnet
        seen |= set(np.unique(types))
    assert {LANE_TYPES.id_of(n) for n in ('ego_lane', 'other_lane', 'dashed_line')} <= seen


def test_interrupted_capture_is_resumed_to_the_same(
    embedded: Address, captured: Path, tmp_path: Path
) -> None:
    folder = tmp_path / 'parts'
    process = subprocess.Popen(
        command(embedded, '-o', folder, *OPTIONS),
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 90.0
    while len(list(folder.glob('lane_types/*.png'))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.strip() == 'interrupted'
    assert len((folder / 'metadata.jsonl').read_text().splitlines()) == 3
    done = run(embedded, '-o', folder, *OPTIONS)
    assert done.returncode == 0 and '1 of 2 drives are there already' in done.stdout
    assert digest(folder) == digest(captured)


def test_another_capture_in_the_folder_is_refused(
    embedded: Address, captured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(embedded, '-o', captured, '--frames', 5, '--town', 'Grid')
    assert main(given[3:]) == 1
    said = capsys.readouterr().err
    assert 'holds another capture' in said and 'frames was 6, now 5' in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ('arguments', 'word'),
    [
        (('--frames', 5), 'expected -o DIR'),
        (('-o', 'x', '--town', 'Atlantis'), 'Atlantis: expected one of'),
        (('-o', 'x', '--weather', 'Nice'), "weather 'Nice'"),
        (('-o', 'x', '--frames', 0), 'frames'),
    ],
)
def test_bad_arguments_are_one_line(
    embedded: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[object, ...],
    word: str,
) -> None:
    given = [tmp_path / a if a == 'x' else a for a in arguments]
    assert main(command(embedded, *given)[3:]) == 1
    said = capsys.readouterr().err
    assert word in said and len(said.strip().splitlines()) == 1


def test_a_bad_value_of_drive_names_drive(
    embedded: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ['--host', embedded.host, '--port', str(embedded.port)]
    assert main(['sim', 'drive', *where, '--fps', '0']) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith('error: drive: fps: ') and len(said.splitlines()) == 1


def test_bag_is_readable_and_right(embedded: Address, tmp_path: Path) -> None:
    bag = tmp_path / 'drive.mcap'
    done = run(
        embedded, '--bag', bag, '--frames', 8, '--town', 'Grid', '--fov', 70, '--traffic', 0
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ['drive.mcap']
    with bag.open('rb') as stream:
        assert sum(1 for _ in make_reader(stream).iter_messages()) == 8 * 9 + 1
    by_topic: dict[str, list] = {}
    with AnyReader([bag]) as reader:
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            by_topic.setdefault(connection.topic, []).append((time_ns, message))
    camera = '/carla/ego_vehicle/rgb_front'
    for (time_ns, image), (_, info), (_, clock), (_, odometry) in zip(
        by_topic[f'{camera}/image'],
        by_topic[f'{camera}/camera_info'],
        by_topic['/clock'],
        by_topic['/carla/ego_vehicle/odometry'],
    ):
        for stamp in (image.header.stamp, info.header.stamp, clock.clock, odometry.header.stamp):
            assert stamp.sec * 10**9 + stamp.nanosec == time_ns
        assert image.header.frame_id == info.header.frame_id == 'ego_vehicle/rgb_front'
        assert (odometry.header.frame_id, odometry.child_frame_id) == ('map', 'ego_vehicle')
        assert info.k[0] == pytest.approx(80.0 / np.tan(np.radians(35.0)))
        assert (info.k[2], info.k[5], info.width, info.height) == (79.5, 47.5, 160, 96)
        assert (image.encoding, decode(image).bgr().shape) == ('bgr8', (96, 160, 3))
    stamps = [t for t, _ in by_topic['/clock']]
    assert np.diff(stamps).tolist() == [50_000_000] * 7
    tags = decode(by_topic['/carla/ego_vehicle/semantic_front/image'][0][1]).pixels
    depth = decode_depth_image(by_topic['/carla/ego_vehicle/depth_front/image'][0][1]).pixels
    assert (tags == 1).mean() > 0.1 and not depth[tags == 11].any()
    assert 0.5 < depth[tags == 1].min() < 20.0
    mounts = by_topic['/tf_static'][0][1].transforms
    assert {t.child_frame_id for t in mounts} == {
        'ego_vehicle/rgb_front', 'ego_vehicle/depth_front', 'ego_vehicle/semantic_front'
    }  # fmt: skip
