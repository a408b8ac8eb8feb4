"""Temperature, calibration error and thresholds, on counts whose answer is known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import yaml

from seg_node.model.loader import default_model
from seg_node_training.config import parse_recipe
from seg_node_training.evaluate import calibrate_cli
from seg_node_training.evaluate.calibration import (
    ScoreCounts,
    best_temperature,
    best_threshold,
    calibration_error,
    iou_by_threshold,
    probabilities,
)
from seg_node_training.evaluate.network import spec_of
from seg_node_training.export.calibrated import read_spec, write_calibrated
from seg_node_training.export.graph import Contract, export_graph, write_metadata
from seg_node_training.models import build_model


def overconfident(temperature: float) -> ScoreCounts:
    """Scores whose true share is that of their logit divided by `temperature`."""
    true = probabilities(temperature)
    weight = np.ones(256)
    return ScoreCounts(weight * true, weight * (1 - true))


@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.0])
def test_the_temperature_is_found_and_mends_the_error(temperature):
    counts = overconfident(temperature)
    found = best_temperature(counts)
    assert found == pytest.approx(temperature, rel=0.02)
    assert calibration_error(counts, found) < 0.005
    if temperature != 1:
        assert calibration_error(counts) > 0.04


def test_nothing_counted_is_no_figure():
    empty = ScoreCounts.empty()
    assert calibration_error(empty) is None
    assert iou_by_threshold(empty) is None
    assert (best_temperature(empty), best_threshold([empty])) == (1.0, 128)


def test_counts_leave_the_unknown_out_and_share_soft_truth():
    counts = ScoreCounts.empty()
    counts.add(np.array([[10, 10, 200]], np.uint8), np.array([[254, 255, 127]], np.uint8))
    assert (counts.yes[10], counts.no[10]) == (1, 0)
    assert (counts.yes[200], counts.no[200]) == (0.5, 0.5)


def test_the_best_threshold_lies_between_the_classes():
    counts = ScoreCounts.empty()
    counts.yes[60:120] = 5
    counts.no[:55] = 5
    curve = iou_by_threshold(counts)
    assert 55 <= best_threshold([counts]) <= 60
    assert curve[58] == 1
    assert curve[128] == 0
    assert curve[0] == pytest.approx(60 / 115)


@pytest.mark.parametrize(('threshold', 'temperature'), [(128, 2.0), (60, 2.0), (200, 0.5)])
def test_a_threshold_moves_with_the_scores(threshold, temperature):
    moved = calibrate_cli.rescaled(threshold, temperature)
    before = probabilities() * 255 >= threshold - 0.5
    after = np.round(probabilities(temperature) * 255) >= moved
    assert np.count_nonzero(before != after) <= 2


def test_a_file_is_written_that_decides_as_it_was_told(tmp_path, monkeypatch, capsys):
    for kind in ('images', 'labels'):
        (tmp_path / 'set' / kind).mkdir(parents=True)
    ids = np.zeros((32, 64), np.uint8)
    ids[16:], ids[16:, 30:34] = 1, 2
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'set/labels/a.png'), ids)
    cv2.imwrite(str(tmp_path / 'set/images/a.png'), picture)
    raw = {
        'name': 'toy',
        'input': {'height': 32, 'width': 64},
        'data': {'evaluate': [{'name': 'set', 'path': str(tmp_path / 'set')}]},
    }
    config = tmp_path / 'toy.yaml'
    config.write_text(yaml.safe_dump(raw))
    recipe = parse_recipe(raw, 'toy')
    torch.manual_seed(1)
    network = build_model('light_unet', 2, base=4, depth=2, stem=4).eval()
    model, out = tmp_path / 'toy.onnx', tmp_path / 'out.onnx'
    export_graph(Contract(network, recipe, (128, 128)), (32, 64), model)
    write_metadata(model, spec_of(recipe))

    words = ['calibrate.py', model, '--config', config, '-o', out, '--json', tmp_path / 'c.json']
    monkeypatch.setattr(sys, 'argv', list(map(str, words)))
    assert calibrate_cli.main() == 0
    assert 'ece_before' in capsys.readouterr().out
    table = json.loads((tmp_path / 'c.json').read_text())
    spec = read_spec(out)
    assert spec.metrics['calibration'] == table

    def answer(path):
        session = ort.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        return session.run(['mask', 'scores'], {'image': picture[None]})

    _, before = answer(model)
    mask, scores = answer(out)
    for index, name in enumerate(('road', 'lane_marking')):
        expected = probabilities(table[name]['temperature'])[before[0, index]] * 255
        assert np.abs(scores[0, index] - expected).max() < 3
    road, marking = (scores[0, i] >= spec.thresholds[i] for i in range(2))
    np.testing.assert_array_equal(mask[0], np.where(marking, 2, road))


def test_a_file_of_logits_keeps_its_graph_and_reads_its_bytes_otherwise(tmp_path):
    source, out = default_model(), tmp_path / 'out.onnx'
    spec = read_spec(source)
    write_calibrated(source, out, replace(spec, thresholds=(143, 150)), (0.5, 2.0))
    written = read_spec(out)
    assert written.thresholds == (143, 150)
    assert written.temperatures == tuple(
        pytest.approx(a * b) for a, b in zip(spec.temperatures, (0.5, 2.0))
    )
    assert onnx.load(out).graph == onnx.load(source).graph
    again = tmp_path / 'again.onnx'
    write_calibrated(out, again, written, (2.0, 0.5))
    assert read_spec(again).temperatures == pytest.approx(spec.temperatures, abs=1e-3)
