"""`python -m seg_node segment` from end to end."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from drawn_blocks import block_ids, blocks

from seg_node.cli import main
from seg_node.images.video import video_writer
from seg_node.sources import open_source


def read_mask(path) -> np.ndarray:
    """uint8 (H, W); the file must be 8-bit and single-channel."""
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint8
    assert mask.ndim == 2
    return mask


@pytest.fixture
def segment(contract_model, tmp_path, monkeypatch):
    """Runs the verb in this process; gives its exit status."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))

    def run(*arguments: object) -> int:
        return main(['segment', *map(str, arguments), '--model', str(contract_model)])

    return run


def test_a_folder_as_a_process_of_its_own(tmp_path, contract_model):
    pictures, masks = tmp_path / 'in', tmp_path / 'out'
    pictures.mkdir()
    cv2.imwrite(str(pictures / 'a.png'), blocks())
    cv2.imwrite(str(pictures / 'b b.bmp'), blocks(640, 360))
    (pictures / 'broken.jpg').write_bytes(b'no picture')
    (pictures / 'notes.txt').write_text('left alone')
    figures = tmp_path / 'figures.json'
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'seg_node', 'segment', str(pictures), '-o', str(masks)),
            *('--model', str(contract_model), '--no-cache', '--json', str(figures)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1  # a picture could not be read
    assert done.stderr.splitlines() == [
        f'error: {pictures / "broken.jpg"}: expected a picture (JPEG, PNG, WebP, TIFF, BMP, '
        'Netpbm), got something else'
    ]
    assert done.stdout.strip() == f'2 masks in {masks}, 1 failed'
    assert sorted(p.name for p in masks.iterdir()) == ['a.png', 'b b.png']
    np.testing.assert_array_equal(read_mask(masks / 'a.png'), block_ids())
    large = read_mask(masks / 'b b.png')
    assert large.shape == (360, 640)
    assert (large == block_ids(640, 360)).mean() > 0.98
    told = json.loads(figures.read_text())
    assert told['frames'] == 2
    assert 'broken.jpg' in told['failed'][0]
    assert told['milliseconds']['infer']['p50'] > 0


def test_one_picture_with_confidence_and_overlay(segment, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), blocks())
    out = tmp_path / 'out'
    assert segment(tmp_path / 'a.png', '-o', out, '--confidence', '--overlay') == 0
    assert {p.name for p in out.iterdir()} == {'a.png', 'a_confidence.png', 'a_overlay.jpg'}
    assert (read_mask(out / 'a_confidence.png') == 255).all()
    overlay = cv2.imread(str(out / 'a_overlay.jpg')).astype(int)
    assert np.abs(overlay[16, 24] - [64, 160, 64]).max() < 25


def test_equal_stems_get_a_mask_each(segment, tmp_path):
    pictures = tmp_path / 'in'
    pictures.mkdir()
    cv2.imwrite(str(pictures / 'a.png'), blocks())
    cv2.imwrite(str(pictures / 'a.bmp'), np.zeros((10, 20, 3), np.uint8))
    assert segment(pictures, '-o', tmp_path / 'out') == 0
    shapes = {p.name: read_mask(p).shape for p in (tmp_path / 'out').iterdir()}
    assert shapes == {'a.png.png': (32, 64), 'a.bmp.png': (10, 20)}


def test_a_video_gives_a_mask_a_frame_and_a_video(segment, tmp_path):
    with video_writer(tmp_path / 'v.mp4', 8.0) as append:
        for _ in range(3):
            append(blocks(128, 64))
    out = tmp_path / 'out'
    assert segment(tmp_path / 'v.mp4', '-o', out, '--overlay-video', tmp_path / 'o.mp4') == 0
    assert sorted(p.name for p in out.iterdir()) == [f'v_{i:06d}.png' for i in range(3)]
    assert (read_mask(out / 'v_000002.png') == block_ids(128, 64)).mean() > 0.9
    painted = open_source(tmp_path / 'o.mp4')
    assert (painted.count, painted.rate) == (3, 8.0)
    assert next(iter(painted)).frame.bgr().shape == (64, 128, 3)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['{d}/none.png', '-o', '{d}/out'], 'none.png: no such file'),
        (['{d}/a.png', '-o', '{d}'], 'is the input folder'),
        (['{d}/a.png', '-o', '{d}/a.png/below'], 'cannot be written'),
        (['{d}/a.png', '-o', '{d}/out', '--threads', '999'], 'threads: expected 0 to 256'),
        (['{d}/a.png', '-o', '{d}/out', '--json', '{d}/sub'], 'sub: cannot be written'),
        (['{d}/a.png', '-o', '{d}/out', '--overlay-video', '{d}/v.xyz'], 'v.xyz'),
        (['{d}/a.txt', '-o', '{d}/out'], 'expected a picture, a video, a bag or a folder'),
        (['{d}/sub', '-o', '{d}/out'], 'expected a folder with pictures'),
    ],
)
def test_what_cannot_be_is_one_line_and_1(segment, tmp_path, capsys, arguments, words):
    cv2.imwrite(str(tmp_path / 'a.png'), blocks())
    (tmp_path / 'a.txt').write_text('text')
    (tmp_path / 'sub').mkdir()
    assert segment(*(a.format(d=tmp_path) for a in arguments)) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith('error: ')
    assert words in errors[0]


def test_a_missing_model_is_one_line(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'a.png'), blocks())
    missing = str(tmp_path / 'none.onnx')
    assert main(['segment', f'{tmp_path}/a.png', '-o', f'{tmp_path}/o', '--model', missing]) == 1
    assert capsys.readouterr().err == f'error: {missing}: no such model file\n'


def test_a_tiny_picture_is_named_and_the_others_go_on(segment, tmp_path, capsys):
    folder = tmp_path / 'in'
    folder.mkdir()
    for name, picture in (('a', blocks()), ('b', blocks()[:1, :1]), ('c', blocks())):
        cv2.imwrite(str(folder / f'{name}.png'), picture)
    out = tmp_path / 'out'
    assert segment(folder, '-o', out) == 1
    assert sorted(p.name for p in out.glob('*.png')) == ['a.png', 'c.png']
    told = capsys.readouterr()
    assert 'b.png: image 1x1: expected at least 2x2 pixels' in told.err
    assert '2 masks' in told.out and '1 failed' in told.out


@pytest.mark.parametrize('name', ['o.webm', 'o.gif', 'o.jpg', 'o'])
def test_a_video_that_cannot_be_written_is_refused_at_once(segment, tmp_path, capsys, name):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), blocks())
    assert segment(path, '-o', tmp_path / 'out', '--overlay-video', tmp_path / name) == 1
    error = capsys.readouterr().err
    assert f'{name}: not a kind of video that is written' in error
    assert len(error.splitlines()) == 1


def test_what_nobody_foresaw_is_one_line_with_its_cause(segment, tmp_path, capsys, monkeypatch):
    """The net under every verb; SEG_NODE_TRACEBACK takes it away."""
    cv2.imwrite(str(tmp_path / 'a.png'), blocks())

    def fail(error: Exception) -> None:
        def raising(*_: object) -> None:
            raise error

        monkeypatch.setattr('seg_node.cli.segment.load_model', raising)

    arguments = (tmp_path / 'a.png', '-o', tmp_path / 'out')
    for error, said in (
        (PermissionError(13, 'Permission denied', '/x/y'), 'error: /x/y: Permission denied\n'),
        (MemoryError(), 'error: not enough memory\n'),
        (KeyError('a'), "error: unexpected KeyError: 'a' (test_segment.py:"),
    ):
        fail(error)
        assert segment(*arguments) == 1
        told = capsys.readouterr().err
        assert told.startswith(said) and len(told.splitlines()) == 1
    monkeypatch.setenv('SEG_NODE_TRACEBACK', '1')
    with pytest.raises(KeyError):
        segment(*arguments)
