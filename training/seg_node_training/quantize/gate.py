"""The gate: whether a quantized file is as good, as quantized and as fast as it claims.

Three questions, each with its own reason for a refusal: does any class lose more IoU than the
limit, did any convolution stay in float that was not meant to, and does the file run faster than
its float twin on this machine. The verdict travels in the file's metadata and the model card.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.errors import ModelError
from seg_node_training.evaluate.network import Scorer
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.export.graph import unquantized_convolutions

LIMIT_POINTS = 0.5
"""Largest loss of IoU of any class of any set, in points of a hundred."""
MEASURED_RUNS = 41


@dataclass(frozen=True)
class Speed:
    """Median milliseconds of the float file and of the quantized one, run in turns."""

    fp32_ms: float
    quantized_ms: float
    runtime: str = 'OpenVINO'

    @property
    def ratio(self) -> float:
        """How many times as fast the quantized file is."""
        return self.fp32_ms / self.quantized_ms


@dataclass(frozen=True)
class Verdict:
    """What the gate found. `lost`: points of IoU by `set/class`, negative where it gained."""

    lost: Mapping[str, float]
    float_convolutions: tuple[str, ...]
    speed: Speed | None
    limit: float = LIMIT_POINTS

    @property
    def reasons(self) -> list[str]:
        """Why the file is refused, one phrase a reason; empty where it passes."""
        reasons = []
        beyond = {k: v for k, v in self.lost.items() if v > self.limit}
        if beyond:
            named = ', '.join(f'{k} loses {v:.2f} points' for k, v in beyond.items())
            reasons.append(f'beyond the limit of {self.limit:g} points: {named}')
        if self.float_convolutions:
            reasons.append(f'convolutions left in float: {", ".join(self.float_convolutions)}')
        if self.speed is not None and self.speed.ratio <= 1:
            reasons.append(
                f'not faster on this machine: {self.speed.quantized_ms:.2f} ms against '
                f'{self.speed.fp32_ms:.2f} ms of fp32 in {self.speed.runtime}'
            )
        return reasons

    @property
    def passed(self) -> bool:
        """Whether there is no reason against the file."""
        return not self.reasons

    def as_metadata(self) -> dict[str, Any]:
        """The verdict as plain values, for the file's metadata."""
        speed = self.speed
        return {
            'passed': self.passed,
            'reasons': self.reasons,
            'limit_points': self.limit,
            'lost_points': {k: round(v, 2) for k, v in self.lost.items()},
            'float_convolutions': list(self.float_convolutions),
            'times_fp32': None if speed is None else round(speed.ratio, 2),
        }


def lost_points(fp32: Mapping[str, float], quantized: Mapping[str, float]) -> dict[str, float]:
    """IoU lost by `set/class`, in points; a class that vanished has lost all of it."""
    return {k: 100 * (v - quantized.get(k, 0.0)) for k, v in fp32.items()}


def medians_in_turns(
    runs: Sequence[Callable[[], object]], count: int = MEASURED_RUNS, seconds: float = 20.0
) -> list[float]:
    """Median milliseconds of each of `runs`, called in turns so that noise falls on all alike.

    At most `count` turns after two that do not count, fewer where `seconds` are over (but five).
    """
    laps: list[list[float]] = [[] for _ in runs]
    begin = time.perf_counter()
    for turn in range(count + 2):
        if turn >= 7 and time.perf_counter() - begin > seconds:
            break
        for run, taken in zip(runs, laps):
            started = time.perf_counter()
            run()
            if turn >= 2:
                taken.append((time.perf_counter() - started) * 1e3)
    return [float(np.median(taken)) for taken in laps]


def measure_speed(
    fp32: Path,
    quantized: Path,
    size: tuple[int, int],
    scorer: Callable[[Path], Scorer] = openvino_scorer,
) -> Speed:
    """Both files in turns on a random picture of `size` (H, W)."""
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    scorers = [scorer(fp32), scorer(quantized)]
    fp32_ms, quantized_ms = medians_in_turns([partial(score, picture) for score in scorers])
    return Speed(fp32_ms, quantized_ms)


def judge(
    quantized: Path,
    figures: tuple[Mapping[str, float], Mapping[str, float]],
    kept_float: Sequence[str],
    speed: Speed | None,
    limit: float = LIMIT_POINTS,
) -> Verdict:
    """The verdict on the file `quantized`.

    `figures`: IoU by `set/class` of fp32 and of the quantized file. `kept_float`: convolutions
    that are meant to stay in float (the head).
    """
    left = [n for n in unquantized_convolutions(quantized) if n not in kept_float]
    return Verdict(lost_points(*figures), tuple(left), speed, limit)


def refuse(subject: Path, verdict: Verdict, force: bool) -> None:
    """Raise `ModelError` with every reason, unless it passed or the user insists."""
    if verdict.reasons and not force:
        raise ModelError(f'{subject}: refused by the gate: {"; ".join(verdict.reasons)}')
