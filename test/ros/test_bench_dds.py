"""`bench --dds`: the node and the echo node in turns, from their processes' start."""

from __future__ import annotations

import pytest

from seg_node.benchmark.dds import OverDds, measure_over_dds
from seg_node.camera.size import Size


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
