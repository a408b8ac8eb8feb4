"""Every frame put into the worker ends in exactly one account, whatever happens to it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from seg_node.errors import FrameError
from seg_node.frames import Frame
from seg_node.mailbox import FrameAccount
from seg_node.model.loader import load_model
from seg_node.pipeline import Segmenter
from seg_node.ros.worker import Steps, Worker
from seg_node.timing import Recorder

FRAME = Frame(np.zeros((8, 8, 3), np.uint8), 'bgr')


@pytest.fixture
def work(contract_model):
    """Runs one message through a real worker with the given steps; account and reports."""

    def run(message: object, **steps: object):
        account, reports = FrameAccount(), []
        done = threading.Event()

        def finish(*_: object) -> None:
            done.set()

        given = {
            'decode': lambda m: FRAME,
            'age_ms': lambda m: 5.0,
            'max_age_ms': lambda: 100.0,
            'publish': lambda *a: None,
            'publish_late': finish,
            'report': lambda cause, text: (reports.append((cause, text)), done.set()),
            **steps,
        }
        segmenter = Segmenter(load_model(contract_model).runner)
        worker = Worker(segmenter, Steps(**given), account, Recorder())
        worker.start()
        worker.put(message)
        assert done.wait(20)
        worker.stop()
        worker.put(message)
        counts = account.counts()
        assert counts.pending == 0
        assert counts.received == 2
        assert account.causes()['inactive'] == 1
        return counts, account.causes(), reports

    return run


def fail(error: Exception):
    def raising(*_: object) -> None:
        raise error

    return raising


def test_a_good_frame_is_published(work):
    counts, _, reports = work('m')
    assert (counts.published, counts.rejected, reports) == (1, 1, [])


def test_a_bad_frame_is_rejected_by_its_cause(work):
    counts, causes, reports = work('m', decode=fail(FrameError('step', 'too small')))
    assert (counts.published, causes['step']) == (0, 1)
    assert reports == [('step', 'too small')]


def test_an_old_frame_is_stale(work):
    counts, _, reports = work('m', age_ms=lambda m: 101.0)
    assert (counts.stale, counts.published) == (1, 0)
    assert reports == [('stale', 'frame is 101 ms old, the limit is 100 ms')]


@pytest.mark.parametrize('step', ['decode', 'publish', 'age_ms'])
def test_an_unforeseen_error_rejects_the_frame_and_the_worker_lives_on(work, step):
    counts, causes, reports = work('m', **{step: fail(RuntimeError('surprise'))})
    assert (counts.published, causes['internal']) == (0, 1)
    assert reports == [('internal', 'RuntimeError: surprise')]


def test_a_failing_overlay_does_not_count_the_frame_twice(work):
    counts, causes, reports = work('m', publish_late=fail(RuntimeError('paint')))
    assert (counts.published, causes) == (1, {'inactive': 1})
    assert reports == [('internal', 'RuntimeError: paint')]
