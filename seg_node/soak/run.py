"""The soak: everything runs, faults come at random, and at the end the account must be right."""

from __future__ import annotations

import contextlib
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.errors import InputError
from seg_node.progress import progress_bar
from seg_node.ros.session import private_graph, spinning
from seg_node.ros.soak_watch import SoakWatch
from seg_node.soak.held import ProcessUse, growth, leaks
from seg_node.soak.parts import CAMERA_INFO, IMAGE, MASK, SystemPart, parts

FAULTS = ('source', 'server', 'stamps', 'readers', 'frozen', 'reload')
"""Two parts killed, a camera whose stamps jump, readers that come and go or stop, a reload."""
KILLED = ('source', 'server', 'node')
"""Parts of which kill and restart cycles are made."""
_BACK_S = 120.0
"""A part that gives no masks for so long does not come back."""
_ARRIVED_S = 0.5
"""Until all that a killed part had sent has arrived."""
_SAMPLE_S = 1.0
_JUMPS_S = (0, -100, 0, 0, 3600, -3600, 1, 1, 2)


@dataclass(frozen=True)
class SoakRequest:
    """How long, with a fault about every `fault_s` seconds; logs into `folder`.

    `cycles`: so many kills of each part in `KILLED` in place of the minutes. `stress`: so many
    busy processes beside.
    """

    minutes: float
    folder: Path
    fault_s: float = 15.0
    warm_up_s: float = 60.0
    rate: float = 10.0
    town: str = 'Grid'
    seed: int = 0
    cycles: int = 0
    stress: int = 0


@dataclass
class _Soak:
    request: SoakRequest
    watch: SoakWatch
    parts: dict[str, SystemPart]
    rng: random.Random
    begun: float = field(default_factory=time.monotonic)
    faults: Counter[str] = field(default_factory=Counter)
    back_s: dict[str, list[float]] = field(default_factory=dict)
    back_cpu_s: dict[str, list[float]] = field(default_factory=dict)
    samples: dict[str, list[ProcessUse]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def at_s(self) -> float:
        return time.monotonic() - self.begun

    def wait_for_mask(self, first: int = 0) -> None:
        """Wait for a mask of frame number `first` or a later one. Raises `InputError`."""
        begun = time.monotonic()
        while self.watch.order.newest < first:
            for part in self.parts.values():
                if part.ended:
                    raise InputError(f'{part.name} has ended by itself: see {self.request.folder}')
            if time.monotonic() - begun > _BACK_S:
                heard = self.watch.order.frames - first
                raise InputError(
                    f'no mask for {_BACK_S:g} s while {heard} frames were heard: see '
                    f'{self.request.folder}'
                )
            time.sleep(0.01)

    def restart(self, name: str) -> None:
        """Kill a part, start it again, and book the time from then to a mask of a frame since.

        Also the processor time that the part took for it: what is left of the wait on a machine
        that has nothing else to do.
        """
        self.parts[name].kill()
        time.sleep(_ARRIVED_S)
        first = self.watch.order.frames
        self.parts[name].start()
        begun = time.monotonic()
        self.wait_for_mask(first)
        self.back_s.setdefault(name, []).append(time.monotonic() - begun)
        self.back_cpu_s.setdefault(name, []).append(self.parts[name].cpu_s())
        self.faults[name] += 1

    def fault(self, name: str) -> None:
        """Let one of `FAULTS` happen."""
        if name in self.parts:
            self.restart(name)
            return
        self.faults[name] += 1
        if name == 'readers':
            self.watch.change_readers()
        elif name == 'frozen':
            self.parts['reader'].freeze()
        elif name == 'reload':
            if problem := self.watch.reload_model(_BACK_S):
                self.violations.append(problem)
        else:
            self.jump()

    def jump(self) -> None:
        """A camera whose stamps are zero, go back and leap, in place of the drive."""
        self.parts['source'].kill()
        pixels = np.random.default_rng(self.rng.randrange(1000)).integers(0, 256, (96, 160, 3))
        for seconds in _JUMPS_S:
            # Its nanoseconds make each header one of a kind, so that masks can be told apart.
            stamp = max(0, 10_000 + seconds) * 10**9 + self.watch.order.frames
            self.watch.send(stamp if seconds else 0, pixels.astype(np.uint8))
            time.sleep(1.0 / self.request.rate)
        time.sleep(_ARRIVED_S)
        first = self.watch.order.frames
        self.parts['source'].start()
        self.wait_for_mask(first)

    def sample(self) -> None:
        """Book what each part holds once it has run long enough; a new start begins anew."""
        for part in self.parts.values():
            if part.age_s < self.request.warm_up_s:
                continue
            meant = self.watch.map_mb if part.name == 'lane_map' else 0.0
            held = part.held(self.at_s, meant)
            if held is not None:
                self.samples.setdefault(f'{part.name} {part.started}', []).append(held)


def soak(request: SoakRequest) -> dict[str, Any]:
    """Run it; figures, with `violations`: one line each. Ctrl-C ends it early, with figures.

    Raises `SegNodeError` where a part does not start, or does not come back.
    """
    with private_graph(), contextlib.ExitStack() as stack:
        for _ in range(request.stress):
            stack.enter_context(_busy())
        watch = SoakWatch(IMAGE, CAMERA_INFO, MASK)
        stack.enter_context(spinning(watch))
        known = parts(request.folder, request.rate, request.town)
        for part in known.values():
            stack.callback(part.stop)
            part.start()
        run = _Soak(request, watch, known, random.Random(request.seed))
        run.wait_for_mask()
        run.begun = time.monotonic()
        interrupted = False
        try:
            if request.cycles:
                _cycles(run)
            else:
                _minutes(run)
        except KeyboardInterrupt:
            interrupted = True
        # A Ctrl-C in the terminal has ended the node as well: its last counts are not to be had.
        known['source'].stop()
        if not interrupted and not watch.settled(30.0):
            run.violations.append(f'counts do not add up after the last frame: {watch.counts}')
        return _figures(run, interrupted)


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """A process that takes a whole core, as far as it is let."""
    process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _minutes(run: _Soak) -> None:
    total = run.request.minutes * 60.0
    next_fault = run.request.fault_s
    with _bar('soak, seconds', total) as advance:
        while run.at_s < total:
            if run.at_s >= next_fault:
                run.fault(run.rng.choice(FAULTS))
                next_fault = run.at_s + run.request.fault_s * run.rng.uniform(0.5, 1.5)
            run.sample()
            advance(run.at_s)
            time.sleep(_SAMPLE_S)


def _cycles(run: _Soak) -> None:
    with _bar('kills', run.request.cycles * len(KILLED)) as advance:
        for done in range(run.request.cycles * len(KILLED)):
            run.restart(KILLED[done % len(KILLED)])
            run.sample()
            advance(done + 1)


@contextlib.contextmanager
def _bar(what: str, total: float) -> Iterator[Callable[[float], None]]:
    with progress_bar() as progress:
        task = progress.add_task(what, total=round(total))

        def advance(done: float) -> None:
            progress.update(task, completed=round(done))

        yield advance


def _figures(run: _Soak, interrupted: bool) -> dict[str, Any]:
    watch, order = run.watch, run.watch.order
    order.close()
    grown = {name: growth(samples) for name, samples in run.samples.items()}
    violations = [*run.violations, *order.violations]
    violations += [f'counts do not add up: {counts}' for counts in watch.unaccounted]
    for name, held in grown.items():
        violations += leaks(name, held, run.samples[name])
    return {
        'seconds': round(run.at_s, 1),
        'interrupted': interrupted,
        'frames_sent': order.frames,
        'masks': order.masks,
        'node_counts': watch.counts,
        'faults': dict(run.faults),
        'masks_again_s': {name: _spread_of(s) for name, s in run.back_s.items()},
        'masks_again_cpu_s': {name: _spread_of(s) for name, s in run.back_cpu_s.items()},
        'promptness_ms': watch.promptness.figures(),
        'held': {name: what for name, what in grown.items() if what},
        'violations': violations,
    }


def _spread_of(seconds: list[float]) -> dict[str, float]:
    return {'p50': round(statistics.median(seconds), 2), 'max': round(max(seconds), 2)}
