"""What `hysteresis` gives and costs: flicker and IoU of drives at several margins.

`python -m seg_node_training.studies.steadiness MODEL INPUT...` prints a Markdown table. An input
is a video, a folder of pictures in order, or what `seg_node sim capture` wrote (images/ and
labels/), which has the truth besides. The network runs once a frame; every margin sees the same
scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size
from seg_node.decide import Decider
from seg_node.errors import InputError
from seg_node.images.frames import Frame
from seg_node.metrics.counts import Flicker, pair_counts
from seg_node.metrics.figures import flicker_summary, ious, number, ratio
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.spec import ModelSpec
from seg_node.pipeline import Segmenter
from seg_node.sources import open_source
from seg_node.steadiness import Hysteresis
from seg_node_training.command import run_command
from seg_node_training.report.study import markdown_table, write_study

Array = npt.NDArray[np.uint8]
GOOD = 48
TITLE = 'A mask that holds still'
FLICKER = ('changed', 'flipped')
HEADS = (
    *('input', 'hysteresis', 'changed %', 'flipped %'),
    *('road IoU', 'marking IoU', 'ms a frame'),
)


@dataclass(frozen=True)
class Neighbour:
    """A frame of a drive; `label` uint8 (H, W), where there is one."""

    drive: str
    frame: Frame
    label: Array | None = None


@dataclass
class Trial:
    """One margin on one input, at the network's size."""

    margin: int
    spec: ModelSpec
    labelled: bool
    flicker_counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decider = Decider(self.spec)
        classes = len(self.spec.classes)
        self.confusion = np.zeros((classes, classes), np.int64)
        self.begin()

    def begin(self) -> None:
        """The next frame is the first of a drive."""
        self.flicker = Flicker(self.labelled)
        self.hysteresis = Hysteresis(self.decider, self.margin) if self.margin else None

    def add(self, planes: tuple[Array, ...], label: Array | None) -> None:
        """Decide and count; planes and label uint8 (h, w)."""
        if self.hysteresis is not None:
            started = perf_counter()
            planes = self.hysteresis(planes)
            self.ms.append((perf_counter() - started) * 1e3)
        mask = self.decider(planes)
        self.flicker_counts += self.flicker.add(mask, label)
        if label is not None:
            self.confusion += pair_counts(label, mask, len(self.confusion))

    def row(self, title: str) -> list[Any]:
        """A line of the table; shares in percent."""
        summary = flicker_summary(self.flicker_counts)
        flicker = [None if (v := summary[key]) is None else 100 * v for key in FLICKER]
        cells = [title, self.margin, *flicker, *self.road_and_marking()]
        return [*cells, float(np.median(self.ms)) if self.ms else None]

    def road_and_marking(self) -> tuple[float | None, float | None]:
        """IoU of the road with its markings, and of the markings; None without labels."""
        if not self.labelled:
            return None, None
        either = self.confusion.sum() - self.confusion[0, 0]
        road = ratio(self.confusion[1:, 1:].sum(), either)[()]
        return number(road), number(ious(self.confusion)[2])


def frames_of(path: Path, size: Size) -> Iterator[Neighbour]:
    """The frames of an input in order, labels brought to `size`."""
    pictures, labels = path / 'images', path / 'labels'
    if not labels.is_dir():
        for item in open_source(path):
            yield Neighbour('', item.frame)
        return
    for item in open_source(pictures):
        label = cv2.imread(str(labels / f'{item.name}.png'), cv2.IMREAD_GRAYSCALE)
        if label is None:
            raise InputError(f'{labels / item.name}.png: no label of the picture {item.name}')
        small = cv2.resize(label, (size.width, size.height), interpolation=cv2.INTER_NEAREST)
        yield Neighbour(item.name.rpartition('_')[0], item.frame, np.asarray(small, np.uint8))


def study(model: Path, path: Path, margins: list[int], limit: int | None) -> list[Trial]:
    """All margins on the same scores."""
    runner = load_model(model, RunOptions(threads=1)).runner
    segmenter = Segmenter(runner, 'network')
    spec = replace(runner.spec, encoding='scores')  # `planes` are scores, whatever the file gives
    labelled = (path / 'labels').is_dir()
    trials = [Trial(margin, spec, labelled) for margin in margins]
    drive = None
    for item in islice(frames_of(path, runner.network), limit):
        if item.drive != drive:
            drive = item.drive
            for trial in trials:
                trial.begin()
        planes = segmenter(item.frame).planes
        for trial in trials:
            trial.add(planes, item.label)
    return trials


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(prog='steadiness', description=__doc__)
    line.add_argument('model', type=Path)
    line.add_argument('inputs', type=Path, nargs='+', metavar='INPUT')
    line.add_argument('--margin', type=int, nargs='+', default=[0, 16, 32, GOOD, 64])
    line.add_argument('--page', action='store_true', help='write docs/studies/steadiness.md')
    line.add_argument('--limit', type=int, help='frames of each input')
    return line


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write the page where asked for."""
    rows = []
    for path in options.inputs:
        for trial in study(options.model, path, options.margin, options.limit):
            rows.append(trial.row(path.stem))
            print(*markdown_table(HEADS, rows[-1:])[2:], flush=True)
    if options.page:
        write_study('steadiness', TITLE, _answer(rows), markdown_table(HEADS, rows))


def _answer(rows: list[list[Any]]) -> str:
    """What `GOOD` gives on every input."""
    told = []
    for name in dict.fromkeys(row[0] for row in rows):
        trials = {row[1]: row for row in rows if row[0] == name}
        if not {0, GOOD} <= trials.keys():
            continue
        before, after = trials[0], trials[GOOD]
        text = f'{name}: flipped pixels {before[3]:.2f} → {after[3]:.2f} %'
        if before[4] is not None:
            text += f', road IoU {before[4]:.3f} → {after[4]:.3f}'
            text += f', marking IoU {before[5]:.3f} → {after[5]:.3f}'
        told.append(text)
    return f'`hysteresis` {GOOD} against none: {"; ".join(told)}.'


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
