"""What fuzz targets share: the form of a target, damaged bytes and nasty values.

A target is a file `target_NAME.py` with a `TARGET`.  `python test/fuzz/run.py NAME --cases N` runs
it; `make fuzz` runs all of them, `make test` a short part of each.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Case = Callable[[random.Random], None]


@dataclass(frozen=True)
class Target:
    """Something to be fuzzed.

    name: as in the file's name.  opened: context manager that makes the function of one case;
    the function takes random numbers, of which everything in the case follows, and raises when
    what it tries does anything but its documented answer.
    short: cases in `make test`.  grows_mb: memory that a run may add.  peak_mb: memory that a case
    may need above what the process has at the start.  slow_s: longest case.
    """

    name: str
    opened: Callable[[], contextlib.AbstractContextManager[Case]]
    short: int = 300
    grows_mb: float = 150.0
    peak_mb: float = 600.0
    slow_s: float = 20.0


def simple(case: Case) -> Callable[[], contextlib.AbstractContextManager[Case]]:
    """`opened` of a target that needs nothing around its cases."""

    @contextlib.contextmanager
    def opened() -> Iterator[Case]:
        yield case

    return opened


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four damages: flips, cuts, copies, insertions, zeroed runs."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(len(out) + 1)
        size = rng.choice((1, 1, 2, 4, 8, 64))
        kind = rng.randrange(6)
        if kind == 0 and place < len(out):
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(out):
            out[place] = rng.choice((0, 1, 0x7F, 0x80, 0xC1, 0xDC, 0xDD, 0xDF, 0xFF))
        elif kind == 2:
            del out[place : place + size]
        elif kind == 3:
            out[place:place] = rng.randbytes(size)
        elif kind == 4:
            out[place:place] = out[max(0, place - size) : place]
        else:
            out[place : place + size] = bytes(min(size, len(out) - place))
    return bytes(out)


NUMBERS = (
    0, 1, -1, 2, 255, 256, 65535, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, -(1 << 63),
    (1 << 64) - 1, 0.0, -0.0, 0.5, 1e-300, 1e9, 1e30, 1e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
TEXTS = (
    '',
    'a',
    '\x00',
    '\udcff\udcfe',
    'é',
    '../../etc/passwd',
    'nan',
    '1e999',
    '<b>',
    'x' * 5000,
)


def nasty(rng: random.Random, depth: int = 3) -> Any:
    """A value that no sensible program sends: of any type that msgpack and JSON have."""
    kind = rng.randrange(8)
    if kind <= 2:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(TEXTS)
    if kind == 4:
        return rng.choice((None, True, False))
    if kind == 5:
        return rng.randbytes(rng.choice((0, 1, 24, 300)))
    if depth == 0:
        return []
    if kind == 6:
        return {rng.choice(TEXTS): nasty(rng, depth - 1) for _ in range(rng.randrange(3))}
    return [nasty(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 3, 14, 100)))]


def spoiled(value: Any, rng: random.Random, chance: float = 0.15) -> Any:
    """A value of the same shape with some parts replaced by nasty ones, or left out."""
    if rng.random() < chance:
        return nasty(rng)
    if isinstance(value, list):
        kept = [spoiled(v, rng, chance) for v in value if rng.random() > chance / 4]
        return [*kept, nasty(rng)] if rng.random() < chance / 4 else kept
    return value
