"""The same drive gives the same figures: twice, resumed, cut into shards, by any engine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from seg_node.model.runner import RunOptions
from seg_node.replay.evaluation import Execution, describe_models, evaluate
from seg_node.replay.plan import ReplayModel, ReplayRequest, make_plan
from seg_node.replay.report import build_report

STEP = 50_000_000
T0 = 1_700_000_000 * 10**9
TRUTH = ('--ground-truth', '/camera/labels')


@pytest.fixture
def noisy(bag_writer) -> Path:
    """A drive of noise: every frame, label and change is different; some labels are missing."""
    rng = np.random.default_rng(7)
    for index in range(30):
        stamp = T0 + index * STEP
        pixels = rng.integers(0, 256, (32, 64, 3), np.uint8)
        bag_writer.add('/camera/image', pixels, 'bgr8', stamp)
        if index % 7:
            label = rng.integers(0, 3, (32, 64)).astype(np.uint8)
            bag_writer.add('/camera/labels', label, 'mono8', stamp, stamp + 2000)
        if index % 11 == 0:
            bag_writer.add('/camera/labels', label_alone(), 'mono8', stamp + STEP // 2)
    return bag_writer.write('noisy')


def label_alone() -> np.ndarray:
    return np.zeros((32, 64), np.uint8)


def figures(report: dict) -> dict:
    """Everything but the times."""
    return {key: value for key, value in report.items() if key != 'timing'}


def test_two_runs_are_identical_but_for_the_times(noisy, replay):
    first, second = (replay(noisy, *TRUTH)[1] for _ in range(2))
    assert figures(first) == figures(second)
    assert first['frames']['labels_without_frame'] == 3
    assert first['frames']['without_ground_truth'] == 5
    assert 0.1 < first['models'][0]['miou'] < 0.9


def test_masks_digest_tells_other_masks(noisy, replay, make_contract_model, tmp_path):
    other = make_contract_model(tmp_path / 'other.onnx', thresholds=(127, 128))
    first = replay(noisy)[1]['models'][0]['masks_digest']
    assert replay(noisy)[1]['models'][0]['masks_digest'] == first
    assert replay(noisy, '--model', other, model=None)[1]['models'][0]['masks_digest'] != first


@pytest.mark.parametrize('shards', [2, 3, 7])
def test_shards_give_the_figures_of_one(noisy, replay, shards):
    whole = replay(noisy, *TRUTH)[1]
    parts = replay(noisy, *TRUTH, '--shards', shards)[1]
    assert figures(parts) == figures(whole)


def test_four_workers_on_two_shards(noisy, replay):
    whole = replay(noisy, *TRUTH)[1]
    spread = replay(noisy, *TRUTH, '--workers', 4, '--shards', 2)[1]
    assert figures(spread) == figures(whole)


SLOW_TO_START = pytest.mark.skipif(
    'SEG_NODE_TEST_RAY' not in os.environ, reason='a Ray cluster takes a minute to start'
)


@pytest.mark.parametrize('engine', ['dask', pytest.param('ray', marks=SLOW_TO_START)])
def test_engines_give_the_same_figures(noisy, replay, engine):
    pytest.importorskip('distributed' if engine == 'dask' else engine)
    whole = replay(noisy, *TRUTH)[1]
    spread = replay(noisy, *TRUTH, '--workers', 2, '--shards', 2, '--engine', engine)[1]
    assert figures(spread) == figures(whole)


def test_two_bags_add_up(noisy, drive, replay):
    other = drive()
    both = replay(noisy, other, *TRUTH)[1]
    single = [replay(bag, *TRUTH)[1] for bag in (noisy, other)]
    assert both['frames']['evaluated'] == 42
    summed = sum(np.array(report['models'][0]['confusion']) for report in single)
    assert np.array_equal(both['models'][0]['confusion'], summed)


def evaluated(bag: Path, model: Path, work: Path, limit: int | None, resume: bool) -> dict:
    request = ReplayRequest((bag,), ground_truth=('/camera/labels',), limit=limit)
    plan = make_plan(request)
    models = describe_models([ReplayModel(model, RunOptions(), 'm')], plan)
    return build_report(evaluate(plan, models, work, Execution(resume=resume)))


@pytest.mark.parametrize('done', [0, 1, 2, 13])
def test_resumed_run_is_the_run(noisy, contract_model, tmp_path, done):
    """A journal cut after some frames, the last one half-written, goes on where it ended."""
    whole = evaluated(noisy, contract_model, tmp_path / 'work', None, False)
    (journal,) = (tmp_path / 'work').glob('*.records')
    size = journal.stat().st_size // 30
    journal.write_bytes(journal.read_bytes()[: done * size + size // 2])
    resumed = evaluated(noisy, contract_model, tmp_path / 'work', None, True)
    assert resumed['timing']['frames_run'] == 30 - done
    assert figures(resumed) == figures(whole)


def test_resume_refuses_another_run(noisy, contract_model, tmp_path):
    from seg_node.errors import ConfigError

    evaluated(noisy, contract_model, tmp_path / 'work', None, False)
    with pytest.raises(ConfigError, match='another plan'):
        evaluated(noisy, contract_model, tmp_path / 'work', 5, True)


@pytest.mark.parametrize(
    ('options', 'numbers'),
    [
        (('--limit', 4), range(0, 4)),
        (('--start', 0.5), range(10, 30)),
        (('--duration', 0.3), range(0, 6)),
        (('--start', 0.5, '--duration', 0.3), range(10, 16)),
        (('--start', 0.5, '--limit', 3), range(10, 13)),
    ],
)
def test_selection(noisy, replay, options, numbers, tmp_path):
    status, report, _ = replay(noisy, *TRUTH, *options)
    assert status == 0
    assert report['frames']['evaluated'] == len(numbers)
    missing = [T0 + n * STEP for n in numbers if n % 7 == 0]
    assert report['frames']['without_ground_truth_stamps'] == missing
    sharded = replay(noisy, *TRUTH, *options, '--shards', 2)[1]
    assert figures(sharded) == figures(report)


def test_report_file_equals_the_figures(noisy, replay, tmp_path):
    _, report, _ = replay(noisy, *TRUTH, '--report', tmp_path / 'report')
    assert json.loads((tmp_path / 'report' / 'report.json').read_text()) == report
    assert not (tmp_path / 'report' / '.replay').exists()


@pytest.mark.parametrize('streams', [1, 2, 3, 7])
def test_frames_at_a_time_do_not_change_the_figures(noisy, replay, streams):
    assert figures(replay(noisy, *TRUTH, '--streams', streams)[1]) == figures(
        replay(noisy, *TRUTH)[1]
    )


def test_a_negative_number_of_streams(noisy, replay):
    status, _, err = replay(noisy, '--streams', -1)
    assert status == 1
    assert err == 'error: --streams: expected 0 to 64, got -1\n'
