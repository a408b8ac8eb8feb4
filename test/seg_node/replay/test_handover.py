"""Threads that hand work on: in order, with errors where they belong, with nobody left behind."""

from __future__ import annotations

import threading
import time

import pytest

from seg_node.replay.handover import in_turn


def test_results_come_in_the_order_of_the_items_and_each_worker_keeps_its_thread():
    seen: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}

    def worker(number):
        def work(item):
            seen[number].add(threading.get_ident())
            time.sleep(0.003 * (number == 0))  # the others must not overtake
            return number, item

        return work

    found = list(in_turn(range(50), [worker(i) for i in range(3)]))
    assert found == [(i % 3, i) for i in range(50)]
    threads = set().union(*seen.values())
    assert [len(s) for s in seen.values()] == [1, 1, 1] and len(threads) == 3


def test_no_items():
    assert list(in_turn([], [str])) == []


def test_reading_stays_a_few_items_ahead():
    read = []

    def items():
        for i in range(1000):
            read.append(i)
            yield i

    results = in_turn(items(), [str, str])
    next(results)
    time.sleep(0.1)
    assert len(read) <= 10
    results.close()


@pytest.mark.parametrize('where', ['reading', 'working'])
def test_an_error_comes_when_its_turn_is_there_and_ends_every_thread(where):
    def items():
        for i in range(100):
            if where == 'reading' and i == 7:
                raise KeyError(i)
            yield i

    def work(item):
        if where == 'working' and item == 7:
            raise KeyError(item)
        return item

    before = threading.active_count()
    found = []
    with pytest.raises(KeyError, match='7'):
        for item in in_turn(items(), [work, work]):
            found.append(item)
    assert found == list(range(7))
    assert threading.active_count() == before
