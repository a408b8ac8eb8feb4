"""Figures of the lane lines in the embedded world, into docs/lane-lines.md.

Each town is driven in each weather, once. The masks of the shipped model are made once a drive;
lines are found from them on the ground plane and with the depth image, and scored against the
town's own map. The camera's angles are found from the same masks by a camera that is told its
height alone. `python scripts/lane_line_figures.py`; bags that are there already are used again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import Bag
from seg_node.bags.drive_topics import DriveTopics
from seg_node.cli.lane_lines import read_boundaries, score_lines
from seg_node.files import write_json, write_part
from seg_node.images.frames import Frame
from seg_node.lane_lines.calibrate import SelfCalibration
from seg_node.lane_lines.estimator import EstimatorOptions, estimator_options
from seg_node.lane_lines.evaluate import TrueLines
from seg_node.lane_lines.from_bag import DrivenFrame, LineSteps, drive_lines
from seg_node.lane_lines.samples import RoadView
from seg_node.lane_lines.stripes import find_stripes
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / 'docs' / 'lane-lines.md'
TOWNS = ('Highway', 'Grid', 'Roundabout')
WEATHERS = ('ClearNoon', 'HardRainNoon', 'ClearNight')
LABELS = '/carla/ego_vehicle/semantic_front/image'
BEGIN, END = '<!-- lane line figures -->', '<!-- end of lane line figures -->'
Mask = npt.NDArray[np.uint8]


class RememberedMasks:
    """A masker that asks the network once a frame and repeats itself from the second drive on."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._next = 0
        self.masks: list[Mask] = []

    def rewind(self) -> None:
        """The drive begins again."""
        self._next = 0

    def __call__(self, frame: Frame) -> Mask:
        """The mask of the next frame, inferred in the first pass alone."""
        if self._next == len(self.masks):
            self.masks.append(self._segmenter(frame).mask.copy())
        self._next += 1
        return self.masks[self._next - 1]


def capture(options: argparse.Namespace, town: str, weather: str) -> Path:
    """The bag of a drive, made where it is missing."""
    bag: Path = options.bags / f'{town}_{weather}.mcap'
    if not bag.exists():
        command = [sys.executable, '-m', 'seg_node', 'sim', 'capture', '--bag', str(bag)]
        command += ['--frames', str(options.frames), '--fps', '10', '--town', town]
        command += ['--weather', weather, '--traffic', '8', '--seed', '3']
        subprocess.run(command, check=True)
    return bag


def drive_figures(bag_path: Path, town: str, segmenter: Segmenter, limit: int) -> dict[str, Any]:
    """Figures of one drive: `plane`, `depth` and `camera`."""
    truth = TrueLines(read_boundaries(Path(town)))
    options = estimator_options(segmenter.runner.spec.classes)
    masks = RememberedMasks(segmenter)
    figures: dict[str, Any] = {}
    view: RoadView | None = None
    frames: list[DrivenFrame] = []
    for name, depth in (('plane', 'none'), ('depth', 'auto')):
        masks.rewind()
        with Bag(bag_path) as bag:
            topics = DriveTopics.find(bag, depth=depth, labels=LABELS)
            drive = drive_lines(bag, topics, LineSteps(masks, options))
            frames = list(itertools.islice(drive, limit))
        figures[name] = score_lines(iter(frames), truth, 'auto')
        view = frames[0].view
    assert view is not None
    figures['camera'] = camera_figures(masks.masks, view, options, turns(frames))
    return figures


def turns(frames: Sequence[DrivenFrame]) -> Iterator[float]:
    """How the vehicle turns at each frame, rad/m."""
    before = None
    for frame in frames:
        if before is None or frame.pose is None:
            yield 0.0
        else:
            step = np.linalg.inv(before) @ frame.pose
            yield math.atan2(step[1, 0], step[0, 0]) / max(0.1, math.hypot(*step[:2, 3]))
        before = frame.pose


def camera_figures(
    masks: Sequence[Mask], view: RoadView, options: EstimatorOptions, turn: Iterator[float]
) -> dict[str, Any] | None:
    """The angles by the lines, of a camera that knows none, and how far they are off."""
    calibration = SelfCalibration()
    for mask, turned in zip(masks, turn):
        calibration.add(find_stripes(mask, options.classes, view.rays), turned)
    angles = calibration.result
    if angles is None:
        return None
    true_pitch = math.degrees(-math.asin(view.mount[2, 2]))
    answer = angles.as_dict()
    return {**answer, 'pitch_error_deg': round(answer['pitch_deg'] - true_pitch, 3)}


def table(figures: Mapping[str, Any]) -> list[str]:
    """The figures as Markdown."""
    heads = ('town, weather', 'range', '5 m', '10 m', '20 m', '30 m', 'both', 'false', 'type')
    lines = ['| ' + ' | '.join((*heads, 'switches', 'ms', 'pitch')) + ' |', '|---' * 12 + '|']
    for name, drive in figures.items():
        for way in ('plane', 'depth'):
            scores, camera = drive[way], drive['camera']
            cells = [name, way]
            for at in ('5', '10', '20', '30'):
                error = scores['lateral_error_m'].get(at)
                cells.append(
                    '–' if error is None else f'{error["median"]:.3f} / {error["p95"]:.2f}'
                )
            both = _share(scores['both_boundaries'])
            cells.append(f'{both} of {scores["frames_that_show_both"]}')
            cells += [_share(scores['false_lines']), _share(scores['type_accuracy'])]
            cells += [str(scores['id_switches']), f'{scores["line_ms"]:.2f}']
            off = '–' if camera is None else f'{camera["pitch_error_deg"]:+.2f}'
            lines.append('| ' + ' | '.join([*cells, off if way == 'plane' else '']) + ' |')
    return lines


def _share(value: float | None) -> str:
    return '–' if value is None else f'{100 * value:.1f} %'


def write_page(page: Path, figures: Mapping[str, Any]) -> None:
    """Put the table between its marks."""
    write_part(page, BEGIN, END, table(figures))


def main() -> int:
    """Drive, score, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--bags', type=Path, default=REPOSITORY / 'out' / 'lane_lines')
    parser.add_argument('--frames', type=int, default=120)
    parser.add_argument('--towns', nargs='+', default=TOWNS)
    parser.add_argument('--weathers', nargs='+', default=WEATHERS)
    parser.add_argument('--model', type=Path, help='default: the shipped one')
    parser.add_argument('--json', type=Path, help='write the figures')
    parser.add_argument('--stored', type=Path, help='figures of an earlier --json, to the page')
    parser.add_argument('--page', type=Path, default=PAGE)
    options = parser.parse_args()
    if options.stored:
        write_page(options.page, json.loads(options.stored.read_text(encoding='utf-8')))
        return 0
    segmenter = Segmenter(load_model(options.model, RunOptions()).runner)
    figures = {}
    for town in options.towns:
        for weather in options.weathers:
            bag = capture(options, town, weather)
            figures[f'{town}, {weather}'] = drive_figures(bag, town, segmenter, options.frames)
            print(f'{town}, {weather}: {json.dumps(figures[f"{town}, {weather}"])}', flush=True)
    if options.json:
        write_json(options.json, figures)
    write_page(options.page, figures)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
