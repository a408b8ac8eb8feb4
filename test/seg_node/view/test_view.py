"""A drawn drive as entities of Rerun, read back from the file by Rerun's own reader."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import psutil
import pytest
from browser import open_page
from rrd_rows import rows

from seg_node.bags.writer import McapWriter
from seg_node.cli import main
from seg_node.lane_lines.estimator import mount_over_ground
from seg_node.transforms import Pose

pytest.importorskip('rerun', reason='the extra view is not installed')

FRAMES, STEP_M, HEIGHT = 6, 0.5, 1.6
T0 = 1_700_000_000 * 10**9
BGR_OF_CLASS = np.array([[90, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)
"""Of which the contract model makes the ids."""
OFFSETS = (-1.75, 1.75)
SENT_BYTES = 5_000
"""Fewer than six pictures have, more than an empty recording has."""
WIDTH, HEIGHT_PX = 320, 160
FOCAL = WIDTH / 2


def road_mask() -> np.ndarray:
    """uint8 (160, 320): two solid lines along the road, seen by a level camera of 90 degrees."""
    u, v = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT_PX) - 79.5)
    with np.errstate(divide='ignore'):
        left = np.where(v > 0, -u * HEIGHT / v, np.inf)
    mask = np.where(v > 0, 1, 0).astype(np.uint8)
    for offset in OFFSETS:
        mask[np.abs(left - offset) < 0.1] = 2
    return mask


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A bag: picture, labels, camera_info, odometry and /tf_static."""
    path = tmp_path / 'drive.mcap'
    mask = road_mask()
    mount = Pose.of_matrix(mount_over_ground(HEIGHT))
    with McapWriter(path) as bag:
        kinds = bag.types

        def kind(name: str, *values: object) -> object:
            package, _, word = name.partition('/')
            return kinds[f'{package}/msg/{word}'](*values)

        def vector(values: tuple[float, ...], word: str = 'Vector3') -> object:
            return kind(f'geometry_msgs/{word}', *map(float, values))

        def header(stamp: int, frame: str) -> object:
            return kind(
                'std_msgs/Header', kind('builtin_interfaces/Time', *divmod(stamp, 10**9)), frame
            )

        def image(stamp: int, pixels: np.ndarray, encoding: str) -> object:
            step = int(np.prod(pixels.shape[1:]))
            size = pixels.shape[:2]
            flat = np.ascontiguousarray(pixels).ravel()
            return kind('sensor_msgs/Image', header(stamp, 'lens'), *size, encoding, 0, step, flat)

        turned = kind(
            'geometry_msgs/Transform',
            vector(mount.translation),
            vector(mount.quaternion, 'Quaternion'),
        )
        static = kind('geometry_msgs/TransformStamped', header(T0, 'base_link'), 'lens', turned)
        bag.put('/tf_static', T0, kind('tf2_msgs/TFMessage', [static]), latched=True)
        k = np.array([FOCAL, 0, (WIDTH - 1) / 2, 0, FOCAL, 79.5, 0, 0, 1], np.float64)
        p = np.array([*k[:3], 0, *k[3:6], 0, *k[6:], 0], np.float64)
        roi = kind('sensor_msgs/RegionOfInterest', 0, 0, 0, 0, False)
        for index in range(FRAMES):
            stamp = T0 + index * 50_000_000
            info = kind(
                'sensor_msgs/CameraInfo', header(stamp, 'lens'), HEIGHT_PX, WIDTH, 'plumb_bob',
                np.zeros(5), k, np.eye(3).ravel(), p, 0, 0, roi,
            )  # fmt: skip
            place = kind(
                'geometry_msgs/Pose',
                vector((index * STEP_M, 0, 0), 'Point'),
                vector((0, 0, 0, 1), 'Quaternion'),
            )
            twist = kind('geometry_msgs/Twist', vector((10, 0, 0)), vector((0, 0, 0)))
            odometry = kind(
                'nav_msgs/Odometry', header(stamp, 'odom'), 'base_link',
                kind('geometry_msgs/PoseWithCovariance', place, np.zeros(36)),
                kind('geometry_msgs/TwistWithCovariance', twist, np.zeros(36)),
            )  # fmt: skip
            bag.put('/camera/camera_info', stamp, info)
            bag.put('/odometry', stamp, odometry)
            bag.put('/camera/image', stamp, image(stamp, BGR_OF_CLASS[mask], 'bgr8'))
            bag.put('/camera/labels', stamp, image(stamp, mask, 'mono8'))
    return path


@contextlib.contextmanager
def web_view(drive: Path, model: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`view --web` in a process of its own, once every frame is shown; its page's address."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    words = ['view', str(drive), '--model', str(model), '--web', '--web-port', str(port)]
    with subprocess.Popen(
        [sys.executable, '-m', 'seg_node', *words],
        stdout=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        address = ''
        try:
            for line in process.stdout:
                told = re.match(r'see (http://127\.0\.0\.1:\S+) ', line)
                address = told[1] if told else address
                if line == f'{FRAMES} frames shown\n':
                    break
            assert address
            yield address, process
            process.send_signal(signal.SIGINT)
            assert process.wait(60.0) == 130  # also while the browser is there
        finally:
            process.kill()


@pytest.fixture
def model(make_contract_model, tmp_path: Path) -> Path:
    return make_contract_model(tmp_path / 'm.onnx', WIDTH, HEIGHT_PX)


def test_a_bag_becomes_pictures_lines_path_and_plots(drive, model, tmp_path, capsys):
    path = tmp_path / 'drive.rrd'
    arguments = ['view', str(drive), '--ground-truth', '/camera/labels', '--model', str(model)]
    assert main([*arguments, '--save', str(path)]) == 0
    assert capsys.readouterr().err == ''
    found = rows(path)
    camera = '/world/vehicle/camera'
    masks = found[f'{camera}/mask']
    assert [row['stamp'] for row in masks] == [T0 + i * 50_000_000 for i in range(FRAMES)]
    assert [row['frame'] for row in masks] == list(range(FRAMES))
    expected = road_mask()
    for name in ('mask', 'truth'):
        shown = np.array(found[f'{camera}/{name}'][-1]['SegmentationImage:buffer'], np.uint8)
        assert np.array_equal(shown.reshape(expected.shape), expected)
    jpeg = np.array(found[f'{camera}/picture'][-1]['EncodedImage:blob'], np.uint8)
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR).astype(int)
    assert np.abs(picture - BGR_OF_CLASS[expected]).mean() < 12

    (annotation,) = (r for r in found['/world'] if 'AnnotationContext:context' in r)
    assert [label in str(annotation) for label in ('road', 'lane_marking')] == [True, True]
    for name in ('background', 'road', 'lane_marking'):
        assert found[f'/plots/iou/{name}'][-1]['Scalars:scalars'] == [1.0]
    stages = {path.rpartition('/')[2] for path in found if path.startswith('/plots/latency_ms/')}
    assert stages == {'preprocess', 'infer', 'postprocess', 'total'}

    strips = found['/world/vehicle/lane_lines'][-1]
    assert [str(label).split()[0] for label in strips['LineStrips3D:labels']] == [
        'left_1', 'right_1',
    ]  # fmt: skip
    for strip, offset in zip(strips['LineStrips3D:strips'], OFFSETS[::-1]):
        assert np.abs(np.array(strip)[:, 1] - offset).max() < 0.1
    points = np.array(found['/world/vehicle/lane_points'][-1]['Points3D:positions'])
    assert np.abs(np.abs(points[:, 1]) - 1.75).max() < 0.2
    (way,) = found['/world/path/0000'][-1]['LineStrips3D:strips']
    assert np.allclose(way, [[i * STEP_M, 0, 0] for i in range(FRAMES)])
    pinhole = next(r for r in found[camera] if r.get('Pinhole:resolution'))
    assert np.allclose(
        pinhole['Pinhole:image_from_camera'],
        [[FOCAL, 0, 0, 0, FOCAL, 0, (WIDTH - 1) / 2, 79.5, 1]],
        atol=0.01,
    )


def test_replay_writes_the_same_entities(drive, model, tmp_path, capsys):
    seen, replayed = tmp_path / 'seen.rrd', tmp_path / 'replayed.rrd'
    common = [str(drive), '--ground-truth', '/camera/labels', '--model', str(model)]
    assert main(['view', *common, '--save', str(seen)]) == 0
    assert main(['replay', *common, '--rerun', str(replayed)]) == 0
    assert f'{FRAMES} frames in {replayed}' in capsys.readouterr().out
    one, other = rows(seen), rows(replayed)
    assert set(one) - {'/__properties'} == set(other) - {'/__properties'}
    for path in ('/world/vehicle/camera/mask', '/world/vehicle/lane_lines', '/world/vehicle'):
        assert len(one[path]) == len(other[path]), path


def test_replay_without_rerun_says_how_to_get_it(drive, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('seg_node.prerequisites.importlib.util.find_spec', lambda name: None)
    target = tmp_path / 'a.rrd'
    assert main(['replay', str(drive), '--model', str(model), '--rerun', str(target)]) == 1
    assert capsys.readouterr().err.startswith('error: rerun: not installed: ')
    assert not target.exists()


def test_pictures_without_a_place_are_shown_without_lines(model, tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(2):
        cv2.imwrite(str(folder / f'{index}.png'), np.roll(BGR_OF_CLASS[road_mask()], index, 1))
    path = tmp_path / 'pictures.rrd'
    arguments = ['view', str(folder), '--model', str(model), '--save', str(path)]
    assert main(arguments) == 0
    found = rows(path)
    masks = [r['SegmentationImage:buffer'] for r in found['/world/vehicle/camera/mask']]
    assert len(masks) == 2
    assert masks[0] != masks[1]
    assert '/world/vehicle/lane_lines' not in found
    assert main([*arguments, '--camera-height', str(HEIGHT)]) == 0
    found = rows(path)
    assert len(found['/world/vehicle/lane_lines'][-1]['LineStrips3D:strips']) == 2


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['x.mp4'], 'x.mp4: no such file or folder'),
        ([], 'INPUT: expected'),
        (['x.mp4', '--limit', '0'], '--limit: expected at least 1'),
        (['x.mp4', '--ros'], 'INPUT: expected nothing beside --ros'),
        (['x.mp4', '--ground-truth', '/labels'], '--ground-truth: expected a bag'),
    ],
)
def test_wrong_use_is_one_line(arguments, told, capsys):
    assert main(['view', *arguments, '--save', 'x.rrd']) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {told}')
    assert error.count('\n') == 1


def test_a_file_of_another_kind_is_refused_and_none_is_left(model, tmp_path, capsys):
    picture = tmp_path / 'a.png'
    cv2.imwrite(str(picture), BGR_OF_CLASS[road_mask()])
    arguments = ['view', str(picture), '--model', str(model), '--save', str(tmp_path / 'a.mcap')]
    assert main(arguments) == 1
    assert 'expected a name that ends in .rrd' in capsys.readouterr().err
    assert not list(tmp_path.glob('*.mcap'))


def test_the_page_is_served_on_loopback_alone():
    from seg_node.view.entities import layout
    from seg_node.view.sinks import viewer

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    with viewer(layout(), port) as (_, shown):
        with urllib.request.urlopen(shown.page, timeout=30) as answer:
            assert b'<html' in answer.read().lower()
        listening = [
            c.laddr.ip
            for c in psutil.Process(shown.process.pid).net_connections('inet')
            if c.status == psutil.CONN_LISTEN
        ]
    assert len(listening) >= 2
    assert set(listening) == {'127.0.0.1'}
    assert shown.process.poll() is not None


# A processor draws what a graphics card does elsewhere.
@pytest.mark.timeout(700)
def test_a_browser_shows_the_page(drive, model, tmp_path):
    """`view --web` as a person uses it: the page comes, draws, and takes the drive over gRPC."""
    with open_page(tmp_path / 'profile') as page, web_view(drive, model) as (address, process):
        grpc = (
            parse_qs(urlsplit(address).query)['url'][0].removeprefix('rerun+').split('/proxy')[0]
        )
        page.open(address)

        def streams() -> list[str]:
            return [
                answer['requestId']
                for answer in page.said('Network.responseReceived')
                if answer['response']['url'].startswith(f'{grpc}/')
                and answer['response']['mimeType'].startswith('application/grpc')
                and answer['response']['status'] == 200
            ]

        def received() -> bool:
            parts = page.said('Network.dataReceived')
            return sum(p['dataLength'] for p in parts if p['requestId'] in streams()) > SENT_BYTES

        page.wait(received, f'{SENT_BYTES} bytes of the drive from {grpc}')
        canvas = page.evaluate(
            '(() => { const c = document.querySelector("canvas"); '
            'return c && [c.width, c.height]; })()'
        )
        assert canvas is not None and min(canvas) > 300
        assert page.evaluate('document.body.innerText').strip() == ''  # errors are text
        shot = tmp_path / 'page.png'

        def shows_the_mask() -> bool:
            """Road in a pale violet, paint in a pale green, over a third of a view's width."""
            page.screenshot(shot)
            hue, colour, _ = cv2.split(cv2.cvtColor(cv2.imread(str(shot)), cv2.COLOR_BGR2HSV))
            violet = (hue > 140) & (hue < 170) & (colour > 8)
            green = (hue > 35) & (hue < 75) & (colour > 40)
            return violet.mean() > 0.01 and np.count_nonzero(green[:, violet.any(axis=0)]) > 300

        page.wait(shows_the_mask, 'the mask in the picture')
        assert process.poll() is None
