"""Stage timers."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node.timing import Recorder, Stopwatch, percentiles


def test_percentiles_of_known_values():
    assert percentiles(range(1, 102)) == {'p50': 51.0, 'p95': 96.0, 'p99': 100.0}
    assert percentiles([]) == {'p50': 0.0, 'p95': 0.0, 'p99': 0.0}


def test_laps_leave_no_gap(monkeypatch):
    ticks = iter([0.010, 0.013, 0.020, 0.021])
    monkeypatch.setattr('seg_node.timing.time.perf_counter', lambda: next(ticks))
    watch = Stopwatch(_last=0.0)
    for stage in ('decode', 'infer', 'publish', 'infer'):
        watch.lap(stage)
    assert watch.stages == pytest.approx({'decode': 10.0, 'infer': 4.0, 'publish': 7.0})
    assert watch.total() == pytest.approx(21.0)


def test_a_recorder_forgets_what_lies_before_its_window():
    recorder = Recorder(window=10)
    for value in range(100):
        recorder.add('infer', float(value))
    assert recorder.summary()['infer']['p50'] == np.median(np.arange(90, 100))


def test_stages_of_a_frame_are_recorded_with_their_sum():
    recorder = Recorder()
    recorder.add_stages(Stopwatch({'decode': 1.0, 'infer': 3.0}))
    assert {k: v['p50'] for k, v in recorder.summary().items()} == {
        'decode': 1.0,
        'infer': 3.0,
        'total': 4.0,
    }
    recorder.clear()
    assert recorder.summary() == {}
