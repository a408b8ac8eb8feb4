"""The benchmark table at toy size: counting, turns, resuming, the page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from seg_node.cli import bench as verb
from seg_node_training.benchmark_table.cases import DEFAULT, Case
from seg_node_training.benchmark_table.count import multiply_accumulates, ranking
from seg_node_training.benchmark_table.page import table
from seg_node_training.benchmark_table.plots import draw
from seg_node_training.benchmark_table.promises import promises
from seg_node_training.benchmark_table.turns import EVERY, Journal, gathered, run_turns, schedule
from seg_node_training.config import parse_recipe
from seg_node_training.export.graph import Contract, export_graph
from seg_node_training.models import build_model


@pytest.fixture(scope='module')
def graph(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('bench') / 'fp32.onnx'
    torch.manual_seed(0)
    network = build_model('team1_unet', 2, base=8, depth=1, padding='same').eval()
    recipe = parse_recipe({'name': 'x', 'input': {'height': 16, 'width': 32}}, 'x')
    export_graph(Contract(network, recipe, (128, 128)), (16, 32), path)
    return path


def case(name: str, graph: Path, runtime: str = 'openvino', **facts: object) -> Case:
    return Case(name, 'toy', 'fp32', runtime, (32, 16), str(graph), 'default', {}, facts)


def test_macs_are_those_of_the_layers(graph):
    full, half = 16 * 32, 8 * 16
    by_hand = (
        full * 9 * (3 * 8 + 8 * 8)  # encoder, level 0
        + half * 9 * (8 * 16 + 16 * 16)  # bottom
        + half * 16 * 8 * 4  # transposed convolution, 2x2
        + full * 9 * (16 * 8 + 8 * 8)  # decoder
        + full * 8 * 2  # head
    )
    assert multiply_accumulates(graph) == by_hand


def test_ranking_prefers_small_fast_and_right():
    assert ranking(2_000_000, 10**9, 1.0) == pytest.approx(4.0)
    assert ranking(2_000_000, 10**9, 0.0) == pytest.approx(4 * math.e)
    assert ranking(1, 1, None) is None


def test_the_default_runs_between_every_few_cases(graph):
    cases = [case(DEFAULT, graph), *(case(f'c{i}', graph) for i in range(EVERY + 1))]
    order = [c.name for _, c in schedule(cases, 2)]
    assert order.count(DEFAULT) == 6
    assert order[0] == order[EVERY + 1] == order[EVERY + 3] == DEFAULT
    keys = [key for key, _ in schedule(cases, 2)]
    assert len(set(keys)) == len(keys)


def test_a_run_measures_every_case_and_a_second_one_nothing(graph, tmp_path, monkeypatch):
    cases = [case(DEFAULT, graph), case('ort', graph, 'onnxruntime'), case('gone', graph / 'no')]
    journal = Journal(tmp_path / 'journal.json', 'plan')
    run_turns(cases, journal, 1, 0.02, 1)
    found = gathered(cases, journal, 1)
    assert found[DEFAULT]['times_default'] == pytest.approx(1, abs=0.9)
    assert found['ort']['p50'] > 0
    assert found['ort']['frames'] >= 5
    assert found['ort']['cold_start_s'] > 0.02
    assert 'error' in found['gone']
    again = Journal(tmp_path / 'journal.json', 'plan')
    assert again.answers == journal.answers
    monkeypatch.setattr('subprocess.run', lambda *_, **__: pytest.fail('measured again'))
    run_turns(cases, again, 1, 0.02, 1)
    assert Journal(tmp_path / 'journal.json', 'another plan').answers == {}


def record(name: str, precision: str, runtime: str, **more: object) -> dict[str, object]:
    model, size = name.split()[0], name.split()[-1]
    return {
        **{'name': name, 'model': model, 'precision': precision, 'runtime': runtime},
        **{'size': size, 'group': 'default', 'note': '', 'parameters': 10**6, 'gmacs': 1.0},
        **{'file_mb': 2.0, 'iou': {}, 'mean_iou': 0.5, 'ranking': 1.0, 'int8_peak_share': 0.3},
        **{'p50': 2.0, 'p95': 3.0, 'p99': 4.0, 'times_default': 1.0, 'cold_start_s': 0.3},
        **{'rss_mb': 90, **more},
    }


def test_promises_tell_reached_from_not_reached():
    size = '512x288'
    lines = [
        record(f'light_unet int8 openvino {size}', 'int8', 'openvino', times_default=1.2),
        record(f'light_unet int8 NNCF IR openvino {size}', 'int8', 'openvino', times_default=1.0),
        record(f'light_unet fp32 onnxruntime {size}', 'fp32', 'onnxruntime', times_default=4.0),
        record(f'light_unet int8 onnxruntime {size}', 'int8', 'onnxruntime', times_default=2.0),
    ]
    scores = {f'light_unet {size}': {'fp32': {'a/b': 0.5}, 'int8': {'a/b': 0.494}}}
    found = {
        p.what.split(':')[-1].strip()[:20]: p for p in promises({'lines': lines, 'scores': scores})
    }
    classes = next(p for p in found.values() if 'largest loss' in p.what)
    assert not classes.reached
    assert 'light_unet 0.60' in classes.measured


def test_page_and_pictures_come_from_the_json(tmp_path):
    name = DEFAULT
    lines = [
        record(name, 'int8', 'openvino'),
        record('light_unet fp32 openvino 512x288', 'fp32', 'openvino', times_default=2.5),
        {**record('x fp32 torch 512x288', 'fp32', 'torch'), 'error': 'no torch'},
    ]
    rows = table(lines)
    assert rows[2].startswith('| **light_unet** | 512x288 | int8 | openvino | 1.00 | 1.00 | 2.00')
    assert 'no torch' in rows[4]
    assert len({row.count('|') for row in rows}) == 1
    scores = {'light_unet 512x288': {'fp32': {'a/b': 0.5}, 'int8': {'a/b': 0.49}}}
    for path in draw({'lines': lines, 'scores': scores}, tmp_path):
        assert path.stat().st_size > 5000
    assert json.dumps(lines)


def test_the_front_door_leads_to_the_table(capfd):
    import argparse

    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    options = parser.parse_args(['--table', '--rounds', '0'])
    assert verb.run(options) == 1
    assert '--rounds, --seconds: expected more than 0' in capfd.readouterr().err
