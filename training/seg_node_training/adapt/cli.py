"""Adapt the model to one's own camera without labels.

`python training/adapt.py DRIVE.mcap|VIDEO|FOLDER -o models/mine_int8.onnx` labels the drive by a
teacher (`--teacher`; default: the best that ships), leaves out the bonnet and what else stands
still, fine-tunes the later layers of the shipped model with rendered (and `--old`) pictures mixed
in, quantizes, and compares before and after, on the embedded world and on `--labelled` frames. A
model that got worse on any of these is drawn back towards the start, and refused where that does
not help.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError
from seg_node.files import write_atomic, write_json
from seg_node.images.reading import read_bgr
from seg_node.model.loader import fp32_twin
from seg_node_training.adapt.drive import TaughtFrames, collect_frames, teach_frames
from seg_node_training.adapt.onnx_network import OnnxNetwork
from seg_node_training.adapt.page import side_by_side
from seg_node_training.adapt.start import Start, open_start, recipe_for
from seg_node_training.adapt.tune import SetShare, TunePlan, blended, mixture, tune
from seg_node_training.command import run_command
from seg_node_training.config import Recipe
from seg_node_training.data.embedded import EmbeddedSet
from seg_node_training.data.folders import FolderSet
from seg_node_training.evaluate.network import fit
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.export.graph import write_metadata
from seg_node_training.quantize.gate import LIMIT_POINTS, Verdict, judge, refuse
from seg_node_training.quantize.ptq import quantize_int8
from seg_node_training.revision import source_revision
from seg_node_training.teach.teacher import open_teacher

U8 = npt.NDArray[np.uint8]
STEPS_BACK = (1.0, 0.5, 0.25)
"""Shares of the way from the start that are tried, in order, until the gate is content."""
KEPT_BACK = 10
"""Every so manieth frame is not trained on, but shown."""
SHOWN = 6


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='adapt.py', description=__doc__)
    parser.add_argument('drive', type=Path, help='a bag, a video or a folder of pictures')
    parser.add_argument('-o', '--out', type=Path, required=True, help='the new model, *_int8.onnx')
    parser.add_argument('--model', type=Path, help='to begin with; default: the shipped one')
    parser.add_argument('--teacher', type=Path, help='.onnx or .xml; default: the best that ships')
    parser.add_argument('--sidecar', type=Path, help='description of an .xml teacher')
    parser.add_argument('--topic', help='camera topic of a bag; default: found out')
    parser.add_argument('--frames', type=int, default=300, help='most frames taken of the drive')
    parser.add_argument(
        '--old',
        type=Path,
        action='append',
        default=[],
        help='labelled folder to mix in (images/, labels/); may be repeated',
    )
    parser.add_argument(
        '--labelled', type=Path, help='labelled frames for the gate, not trained on'
    )
    parser.add_argument(
        '--knows',
        choices=('ids', 'road', 'line'),
        default='ids',
        help='what the labels of --labelled know',
    )
    parser.add_argument('--rendered', type=int, default=160, help='embedded frames to mix in')
    parser.add_argument('--gate-frames', type=int, default=40, help='embedded frames of the gate')
    parser.add_argument('--steps', type=int, default=TunePlan.steps)
    parser.add_argument('--rate', type=float, default=TunePlan.rate)
    parser.add_argument(
        '--share',
        type=float,
        default=TunePlan.share,
        help='share of the convolutions, from the end, that are tuned',
    )
    parser.add_argument(
        '--limit',
        type=float,
        default=LIMIT_POINTS,
        help='largest loss of IoU of any class, points',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work', type=Path, help='frames, answers, report; default beside --out')
    parser.add_argument(
        '--force', action='store_true', help='write a refused model, marked as such'
    )
    return parser


@dataclass(frozen=True)
class Candidate:
    """A tuned model at `share` of the way, its files, its figures and the gate's verdict."""

    share: float
    float_file: Path
    quantized: Path
    verdict: Verdict
    before: Mapping[str, float]
    after: Mapping[str, float]


def gate_parts(options: argparse.Namespace) -> list[dict[str, object]]:
    """The sets of the gate as parts of a recipe: rendered frames, and the user's own."""
    parts: list[dict[str, object]] = []
    if options.gate_frames > 0:
        count = options.gate_frames
        parts.append({'name': 'embedded_world', 'kind': 'embedded', 'limit': count, 'seed': 977})
    if options.labelled is not None:
        folder = str(options.labelled.resolve())
        parts.append({'name': 'labelled', 'path': folder, 'knows': options.knows})
    if not parts:
        raise ConfigError('adapt: expected --gate-frames above 0 or --labelled for the gate')
    return parts


def learnt_sets(options: argparse.Namespace, taught: TaughtFrames) -> list[SetShare]:
    """The drive as half of every batch, rendered and old pictures as the other half."""
    others: list[Any] = [FolderSet(f'old_{f.name}', f.resolve(), 'ids') for f in options.old]
    if options.rendered > 0:
        others.append(EmbeddedSet('rendered', options.rendered, seed=options.seed + 31))
    if not others:
        raise ConfigError(
            'adapt: expected --rendered above 0 or --old: a drive alone is forgotten into'
        )
    rest = [SetShare(other, 0.5 / len(others)) for other in others]
    return [SetShare(taught, 0.5), *rest]


class Candidates:
    """One adaptation: from a start and a folder to work in, to candidates."""

    def __init__(self, start: Start, recipe: Recipe, work: Path, limit: float) -> None:
        self.start, self.recipe, self.work, self.limit = start, recipe, work, limit

    def make(
        self, network: OnnxNetwork, weights: Mapping[str, Any], share: float, pictures: list[U8]
    ) -> Candidate:
        """Write, quantize, score and judge the model at `share` of the way to the tuned one."""
        float_file = self.work / f'tuned_{share:g}_fp32.onnx'
        quantized = self.work / f'tuned_{share:g}_int8.onnx'
        network.write(float_file, dict(weights))
        with contextlib.redirect_stdout(io.StringIO()):  # the quantizer tells its progress
            kept = quantize_int8(float_file, quantized, pictures, 'percentile')
        scorers = {
            'before': openvino_scorer(self.start.quantized),
            'after': openvino_scorer(quantized),
        }
        thresholds = self.start.spec.thresholds
        scored = evaluate_together(scorers, self.recipe, self.recipe.data.evaluate, thresholds)
        before, after = figures(scored['before']), figures(scored['after'])
        verdict = judge(quantized, (before, after), kept, None, self.limit)
        return Candidate(share, float_file, quantized, verdict, before, after)


def calibration(
    taught: TaughtFrames, parts: Sequence[SetShare], recipe: Recipe, count: int = 120
) -> list[U8]:
    """Pictures of the network's size to calibrate with: half drive, half of the other sets."""
    pictures = []
    for part in parts:
        sources = list(part.adapter.sources())
        number = max(1, round(part.share * count))
        for index in np.linspace(0, len(sources) - 1, min(number, len(sources))).astype(int):
            image, _ = part.adapter.load(sources[index])
            pictures.append(fit(image, recipe))
    return pictures


def run(options: argparse.Namespace) -> None:
    """Drive -> answers -> fine-tuning -> candidates -> gate -> files and pages."""
    out: Path = options.out
    if not out.stem.endswith('_int8') or out.suffix != '.onnx':
        raise ConfigError(f'-o {out}: expected a name that ends in _int8.onnx')
    plan = TunePlan(options.steps, options.rate, options.share)
    start = open_start(options.model)
    recipe = recipe_for(start, gate_parts(options), options.seed)
    work = options.work or out.with_name(out.stem.removesuffix('_int8') + '_adapt')
    teacher = open_teacher(options.teacher, options.sidecar)
    inside = options.drive / 'images'
    drive = inside if inside.is_dir() else options.drive
    paths = collect_frames(drive, options.topic, options.frames, work / 'frames')
    shown = paths[KEPT_BACK // 2 :: KEPT_BACK] or paths[-1:]
    taught = teach_frames([p for p in paths if p not in shown], teacher, work)
    print(
        f'{options.drive}: {len(taught.taught)} frames labelled by {teacher.name}, '
        f'{_still_share(taught):.0%} of the picture stands still and is left out'
    )
    parts = learnt_sets(options, taught)
    network = OnnxNetwork(start.twin, plan.share)
    begin = network.weights()
    tuned = tune(network, recipe, mixture(parts, recipe, work / 'cache'), plan)
    candidates = Candidates(start, recipe, work, options.limit)
    pictures = calibration(taught, parts, recipe)
    best: Candidate | None = None
    for share in STEPS_BACK:
        candidate = candidates.make(network, blended(begin, tuned, share), share, pictures)
        _show(candidate)
        if best is None or candidate.verdict.passed or _worst(candidate) < _worst(best):
            best = candidate
        if candidate.verdict.passed:
            break
    assert best is not None
    picked = [shown[i] for i in np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).astype(int)]
    sheet = work / 'before_after.jpg'
    side_by_side(start.quantized, best.quantized, picked, sheet)
    report = _report(options, best, teacher.name, len(taught.taught))
    write_json(work / 'adapt.json', report)
    print(f'before and after: {sheet}')
    refuse(out, best.verdict, options.force)
    _install(start, best, out, report)
    print(f'{out}: {out.stat().st_size / 2**20:.2f} MiB')


def _worst(candidate: Candidate) -> float:
    """Points of IoU lost by the class that lost most."""
    return max(candidate.verdict.lost.values(), default=0.0)


def _still_share(taught: TaughtFrames) -> float:
    return float((read_bgr(taught.still)[..., 0] > 127).mean())


def _show(candidate: Candidate) -> None:
    print(f'{candidate.share:.0%} of the way:')
    for key, value in candidate.before.items():
        print(f'  {key:32s} before {value:.4f}  after {candidate.after.get(key, 0.0):.4f}')


def _report(
    options: argparse.Namespace, best: Candidate, teacher: str, frames: int
) -> dict[str, Any]:
    return {
        'drive': options.drive.name,
        'teacher': teacher,
        'frames': frames,
        'steps': options.steps,
        'rate': options.rate,
        'share_of_layers': options.share,
        'share_of_way': best.share,
        'before': dict(best.before),
        'after': dict(best.after),
        'gate': best.verdict.as_metadata(),
        'revision': source_revision(),
    }


def _install(start: Start, best: Candidate, out: Path, report: dict[str, Any]) -> None:
    """The files at their place, with what they are made of in their metadata."""
    drive = {
        'name': report['drive'],
        'licence': "the user's own",
        'origin': f'adapted from {start.spec.name} by training/adapt.py',
        'knows': f'soft answers of {report["teacher"]}',
    }
    spec = replace(
        start.spec,
        name=out.stem.removesuffix('_int8'),
        training_data=(*start.spec.training_data, drive),
        metrics={**start.spec.metrics, 'adapted': report['after']},
        source_revision=source_revision(),
    )
    quantization = {'method': 'static PTQ after adaptation', 'gate': report['gate']}
    for file, target, described in (
        (best.quantized, out, replace(spec, precision='int8', quantization=quantization)),
        (best.float_file, fp32_twin(out), replace(spec, precision='fp32', quantization={})),
    ):
        write_metadata(file, described)
        with write_atomic(target) as temporary:
            temporary.write_bytes(file.read_bytes())


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
