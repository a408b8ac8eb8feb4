"""`bench --dds`, `bench --cameras` and `soak.load`: nodes from their processes\' start."""

from __future__ import annotations

import json

import pytest

from seg_node.benchmark.dds import OverDds, measure_over_dds
from seg_node.benchmark.rig import RigLoad, measure_rig
from seg_node.camera.size import Size
from seg_node.soak import load


@pytest.mark.timeout(300)
def test_latency_counts_and_cold_start(contract_model):
    record = measure_over_dds(OverDds(contract_model, 1, 10.0, 0.9), Size(64, 48))
    assert record['frames_sent'] == 9
    assert record['frames_unaccounted'] == 0
    assert 0 < record['frames_answered'] <= record['frames_published'] <= 9
    assert 0.0 < record['latency_ms']['p50'] <= record['latency_ms']['p99']
    assert 0.0 < record['first_mask_ms']['p50'] < 5000.0
    for who in ('', 'echo_'):
        # Python, rclpy and numpy are loaded in it, which takes both kinds of time.
        assert record[f'{who}cold_start_s'] > 0.1
        assert record[f'{who}cold_start_cpu_s'] > 0.1


@pytest.mark.timeout(900)  # a busy machine; four nodes are started
def test_a_rig_in_one_node_and_in_a_node_for_each(contract_model):
    load = RigLoad(2, str(contract_model), 2, 30.0, 10.0, 1.5, 1)
    record = measure_rig(load, Size(64, 48))
    for way in ('one_node', 'one_by_one', 'node_each'):
        part = record[way]
        assert part['frames_per_s'] > 0
        assert part['frames_published'] > 0
        assert part['unaccounted'] == 0
        assert part['age_p99_ms'] > 0
    assert 0 < record['memory_ratio'] < 1  # one process instead of two
    assert record['period_ms'] == 100.0


@pytest.mark.timeout(300)
def test_a_camera_faster_than_the_network_is_accounted_for(contract_model, tmp_path, capsys):
    path = tmp_path / 'load.json'
    words = ['--frames', '300', '--rate', '100', '--model', str(contract_model)]
    assert load.main([*words, '--json', str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures['sent'] == 300
    assert figures['received'] + figures['lost_by_dds'] == 300
    assert figures['unaccounted'] == figures['wrong_headers'] == 0
    assert 0 < figures['masks_heard'] <= figures['published']
    assert 'unaccounted' in capsys.readouterr().out
