"""Adaptation at toy size: from frames without labels to a quantized model, or a refusal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import torch

from seg_node.errors import InputError, ModelError
from seg_node.model.loader import load_model
from seg_node_training.adapt import cli
from seg_node_training.adapt.drive import collect_frames, still_pixels, teach_frames
from seg_node_training.adapt.onnx_network import OnnxNetwork
from seg_node_training.adapt.tune import blended
from seg_node_training.config import parse_recipe
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.evaluate.network import spec_of
from seg_node_training.export.graph import Contract, export_graph, write_metadata
from seg_node_training.models import build_model
from seg_node_training.teach.teacher import Teacher, open_teacher

SIZE = (32, 64)


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> Path:
    """A small float file of the lane classes, with random weights."""
    raw = {'name': 'toy', 'input': {'height': SIZE[0], 'width': SIZE[1]}}
    recipe = parse_recipe(raw, 'toy')
    torch.manual_seed(0)
    network = build_model('light_unet', 2, base=4, depth=2, stem=4).eval()
    path = tmp_path_factory.mktemp('start') / 'toy_fp32.onnx'
    export_graph(Contract(network, recipe, (128, 128)), SIZE, path)
    write_metadata(path, spec_of(recipe))
    return path


@pytest.fixture(scope='module')
def drive(tmp_path_factory) -> Path:
    """Twenty-four moving pictures with a bonnet that stands still, and labels beside them."""
    folder = tmp_path_factory.mktemp('drive')
    world = np.random.default_rng(0).integers(0, 256, (72, 600, 3), np.uint8)
    world = cv2.GaussianBlur(world, (0, 0), 3) * 2
    for index in range(24):
        picture = np.ascontiguousarray(world[:, 12 * index : 12 * index + 128])
        picture[58:] = (60, 20, 20)
        ids = np.zeros((72, 128), np.uint8)
        ids[30:58], ids[30:58, 60:66] = 1, 2
        for kind, array in (('images', picture), ('labels', ids)):
            (folder / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / kind / f'{index:03d}.png'), array)
    return folder


def adapt(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, 'argv', ['adapt.py', *map(str, words)])
    return cli.main()


def test_the_file_is_the_same_network_in_torch_and_is_written_back(model, tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    network = OnnxNetwork(model, share=0.5)
    with torch.no_grad():
        ours = torch.sigmoid(network(torch.from_numpy(pictures).float())).mul(255).round()
    session = ort.InferenceSession(str(model), providers=['CPUExecutionProvider'])
    for index in range(2):
        theirs = session.run(['scores'], {'image': pictures[index : index + 1]})[0][0]
        assert np.abs(ours[index].numpy() - theirs).max() <= 1
    start = network.weights()
    assert len(start) < len(OnnxNetwork(model).weights())
    moved = {name: value + 0.1 for name, value in start.items()}
    half = blended(start, moved, 0.5)
    network.write(tmp_path / 'moved.onnx', half)
    for name, value in OnnxNetwork(tmp_path / 'moved.onnx', share=0.5).weights().items():
        torch.testing.assert_close(value, start[name] + 0.05)


def test_frames_that_show_nothing_new_are_left_out(drive, tmp_path):
    folder = tmp_path / 'waiting'
    folder.mkdir()
    first = cv2.imread(str(drive / 'images/000.png'))
    for index in range(5):
        cv2.imwrite(str(folder / f'{index}.png'), first)
    with pytest.raises(InputError, match='expected frames that differ, found 1'):
        collect_frames(folder, None, 10, tmp_path / 'a')
    cv2.imwrite(str(folder / '9.png'), cv2.imread(str(drive / 'images/009.png')))
    assert len(collect_frames(folder, None, 10, tmp_path / 'b')) == 2
    assert len(collect_frames(drive / 'images', None, 7, tmp_path / 'c')) == 7


def test_the_bonnet_teaches_nothing(drive, tmp_path):
    paths = sorted((drive / 'images').iterdir())
    still = still_pixels(paths)
    assert still[78:].mean() > 0.9
    assert still[:65].mean() < 0.05
    everywhere = np.full((72, 128), 255, np.uint8)
    teacher = Teacher('all_road', lambda _: [everywhere], ('road',), exclusive=False)
    taught = teach_frames(paths, teacher, tmp_path)
    _, target = taught.load(taught.sources()[0])
    assert np.all(target[0, 64:] == UNKNOWN)
    assert np.all(target[0, 5:50] == 254)
    assert np.all(target[1] == UNKNOWN)  # this teacher knows no markings


def test_from_a_drive_to_a_model_that_the_node_loads(model, drive, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'mine_int8.onnx'
    words = ['--model', model, '--teacher', model, '--labelled', drive, '--old', drive]
    words += ['--rendered', 0, '--gate-frames', 0, '--frames', 12, '--steps', 2, '--limit', 100]
    assert adapt(monkeypatch, drive, '-o', out, *words) == 0
    said = capsys.readouterr().out
    assert 'stands still and is left out' in said
    assert 'before and after:' in said
    spec = load_model(out).runner.spec
    assert (spec.name, spec.precision) == ('mine', 'int8')
    assert spec.training_data[-1]['origin'] == 'adapted from toy by training/adapt.py'
    assert load_model(tmp_path / 'mine_fp32.onnx').runner.spec.precision == 'fp32'
    sheet = cv2.imread(str(tmp_path / 'mine_adapt' / 'before_after.jpg'))
    assert sheet.shape[1] == 2 * 480
    report = json.loads((tmp_path / 'mine_adapt' / 'adapt.json').read_text())
    assert set(report['before']) == {'labelled/road', 'labelled/lane_marking'}

    before = out.read_bytes()
    # No model can gain five points at this: the gate is asked for the impossible.
    words[words.index('--limit') + 1] = -200
    assert adapt(monkeypatch, drive, '-o', out, *words) == 1
    error = capsys.readouterr().err.strip()
    assert 'refused by the gate' in error
    assert len(error.splitlines()) == 1
    assert out.read_bytes() == before


def test_errors_are_one_line(model, drive, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'mine_int8.onnx'
    for words, text in (
        ([drive, '-o', tmp_path / 'mine.onnx'], 'ends in _int8.onnx'),
        ([drive, '-o', out, '--model', tmp_path / 'no.onnx'], 'no such model file'),
        ([tmp_path / 'no.mcap', '-o', out, '--model', model], 'no such file or folder'),
        ([drive, '-o', out, '--model', model, '--steps', 0], 'at least one step'),
    ):
        assert adapt(monkeypatch, *words) == 1
        error = capsys.readouterr().err.strip()
        assert text in error
        assert len(error.splitlines()) == 1


def test_a_quantized_file_cannot_be_tuned(model, tmp_path):
    from seg_node_training.quantize.ptq import quantize_int8

    picture = np.zeros((*SIZE, 3), np.uint8)
    quantize_int8(model, tmp_path / 'toy_int8.onnx', [picture], 'minmax')
    with pytest.raises(ModelError, match='cannot be fine-tuned'):
        OnnxNetwork(tmp_path / 'toy_int8.onnx')


def test_a_teacher_needs_a_class_that_it_can_teach():
    with pytest.raises(ModelError, match='expected a class that is road or lane marking'):
        Teacher('cats', lambda _: [], ('cat', 'dog'), exclusive=True)
    with pytest.raises(ModelError, match='no such model file'):
        open_teacher(Path('nowhere.onnx'))
