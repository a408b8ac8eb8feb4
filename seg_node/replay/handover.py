"""Work handed to threads and taken back in order."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')
R = TypeVar('R')
_AHEAD = 4
"""Items that each worker has before it: what bounds the memory."""


def in_turn(items: Iterable[T], workers: Sequence[Callable[[T], R]]) -> Iterator[R]:
    """Item i through `workers[i % len(workers)]`, the results in the order of the items.

    `items` are read in a thread of their own, and every worker has one, so that they may keep
    state. Raises what reading or a worker raises, when its turn comes.
    """
    source = iter(items)
    end = object()
    with contextlib.ExitStack() as stack:
        reader, *pools = [
            stack.enter_context(ThreadPoolExecutor(1)) for _ in range(len(workers) + 1)
        ]
        turns = itertools.cycle(zip(pools, workers))

        def hand_over() -> Future[R | object]:
            item = reader.submit(next, source, end)
            pool, work = next(turns)
            return pool.submit(_work, work, item, end)

        pending = deque(hand_over() for _ in range(_AHEAD * len(workers)))
        try:
            while (result := pending.popleft().result()) is not end:
                pending.append(hand_over())
                yield result  # type: ignore[misc]
        finally:
            for pool in (reader, *pools):
                pool.shutdown(wait=False, cancel_futures=True)


def _work(work: Callable[[T], R], item: Future[T | object], end: object) -> R | object:
    value = item.result()
    return end if value is end else work(value)  # type: ignore[arg-type]
