"""The report as data: identical for the same plan, models and bag, but for its `timing`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from seg_node.metrics.figures import (
    flicker_summary,
    lane_iou,
    lane_name,
    lane_summary,
    mean_iou,
    number,
    ratio,
    summary,
)
from seg_node.replay.bootstrap import Bootstrap
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.journal import (
    EVALUATED,
    FRAME_STAGES,
    MODEL_STAGES,
    NO_TRUTH,
)
from seg_node.replay.shard import side_by_side
from seg_node.replay.tally import Tally, count_truth, frame_scores, spread_out, tally
from seg_node.replay.versions import versions
from seg_node.timing import percentiles

SCHEMA = 'seg_node/replay/1'
_MOST_LISTED = 100
_GALLERY = 6


def build_report(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that `report.json` holds."""
    plan, book = evaluation.plan, evaluation.book
    rate = frame_rate(evaluation)
    bootstrap = Bootstrap.for_frames(count_truth(book), rate)
    sums = tally(book, plan.spec, len(evaluation.models), bootstrap.block_frames)
    problems = _problems(evaluation, sums)
    return {
        'schema': SCHEMA,
        'complete': not problems,
        'problems': problems,
        'protocol': _protocol(evaluation, bootstrap),
        'frames': _frames(evaluation, sums),
        'models': [
            _model(evaluation, sums, bootstrap, index) for index in range(len(evaluation.models))
        ],
        'comparisons': _comparisons(evaluation, sums, bootstrap),
        'gallery': _gallery(evaluation, rate),
        'versions': versions(),
        'timing': _timing(evaluation),
    }


def frame_rate(evaluation: Evaluation) -> float | None:
    """Median frames a second by header stamps; None with fewer than two frames."""
    stamps = evaluation.book.column(lambda chunk: chunk['stamp'])
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    return round(1e9 / float(np.median(steps)), 3) if steps.size else None


def _protocol(evaluation: Evaluation, bootstrap: Bootstrap) -> dict[str, Any]:
    plan = evaluation.plan
    truth = plan.has_truth
    return {
        'drives': [
            {
                'bag': drive.bag.name,
                'camera': drive.camera,
                'ground_truth': drive.truth_topic
                or (f'folder {drive.truth_folder.folder.name}' if drive.truth_folder else None),
                'distance': drive.distance,
                'other_camera_topics': list(drive.others),
            }
            for drive in plan.drives
        ],
        'class_map': plan.coding.how if plan.coding else None,
        'scored': plan.scoring.statement if truth else None,
        'classes': list(plan.scoring.names),
        'ignored': 'pixels labelled 255 count nowhere',
        'mask': 'at the size of the camera picture, as the node publishes it',
        'averages': 'sums over all frames first, then ratios; mIoU over the classes that occur, '
        'background included',
        'lane_tolerance_px': plan.spec.tolerance_px,
        'lane_figure': lane_name(plan.spec.tolerance_px),
        'distance_bands': list(plan.bands.labels),
        'join': f'by header stamp within {plan.tolerance_ns / 1e6:g} ms' if truth else None,
        'flicker': 'changed: class differs from the frame before; flipped: it differed in the '
        'frame before and is again what it was two frames ago; '
        + (
            'only pixels whose label is known and stayed the same'
            if truth
            else 'all pixels, movement of the camera included'
        ),
        'bootstrap': bootstrap.describe(),
        'limit': plan.limit,
    }


def _frames(evaluation: Evaluation, sums: Tally) -> dict[str, Any]:
    plan, book = evaluation.plan, evaluation.book
    unmatched = book.column(
        lambda c: c['stamp'][(c['status'] == EVALUATED) & (c['truth'] == NO_TRUTH)]
    )
    lost = sums.lost_labels + len(evaluation.tail)
    listed = [text for _, _, kind, text in evaluation.remarks if kind == 'label without a frame']
    listed += [str(stamp) for stamp in evaluation.tail]
    folders = [d.truth_folder for d in plan.drives if d.truth_folder is not None]
    if folders and plan.limit is None:
        used = sums.with_truth + sums.unusable_truth
        lost += max(0, sum(len(folder) for folder in folders) - used)
    rejected = Counter(
        kind.removeprefix('rejected: ')
        for _, _, kind, _ in evaluation.remarks
        if kind.startswith('rejected: ')
    )
    return {
        'read': sums.frames,
        'evaluated': sums.evaluated,
        'rejected': dict(sorted(rejected.items())),
        'rate_hz': frame_rate(evaluation),
        'with_ground_truth': sums.with_truth,
        'ground_truth_not_used': sums.unusable_truth,
        'without_ground_truth': len(unmatched) if plan.has_truth else None,
        'without_ground_truth_stamps': [int(s) for s in unmatched[:_MOST_LISTED]]
        if plan.has_truth
        else [],
        'labels_without_frame': lost if plan.has_truth else None,
        'labels_without_frame_stamps': [int(s) for s in listed[:_MOST_LISTED]],
    }


def _problems(evaluation: Evaluation, sums: Tally) -> list[str]:
    lines = list(evaluation.plan.problems)
    lines += [problem for problem in evaluation.problems if problem not in lines]
    groups: dict[tuple[int, str, str], list[int]] = {}
    for drive, frame, kind, text in evaluation.remarks:
        if kind != 'label without a frame':
            groups.setdefault((drive, kind, text), []).append(frame)
    for (drive, kind, text), frames in groups.items():
        name = evaluation.plan.drives[drive]
        where = (
            f'{name.bag}: {name.camera}: {kind} in {len(frames)} frame(s), the first {frames[0]}'
        )
        lines.append(f'{where}: {text}')
    if not sums.evaluated:
        lines.append('no frame could be evaluated')
    elif evaluation.plan.has_truth and not sums.with_truth:
        lines.append('no frame has ground truth: nothing was scored')
    return lines


def _model(
    evaluation: Evaluation, sums: Tally, bootstrap: Bootstrap, index: int
) -> dict[str, Any]:
    plan = evaluation.plan
    names = plan.scoring.names
    record: dict[str, Any] = evaluation.models[index].describe() | {
        'masks_digest': f'{sums.digests[index]:016x}',
        'flicker': flicker_summary(sums.flicker[index]),
    }
    if not plan.has_truth:
        shares = ratio(sums.area[index], sums.area[index].sum())
        record['area'] = {name: number(value) for name, value in zip(names, shares)}
    if not sums.with_truth:
        return record
    confusion = sums.confusion[index].sum(0)
    only = sums.blocks[index : index + 1]
    record |= summary(confusion, names)
    record['miou_interval'] = bootstrap.interval(bootstrap.samples(only, mean_iou)[:, 0])
    record['confusion'] = confusion.tolist()
    if plan.spec.markings:
        record['lane'] = lane_summary(sums.lane[index], plan.spec.tolerance_px)
        lanes = bootstrap.samples(sums.lane_blocks[index : index + 1], lane_iou)
        record['lane']['iou_interval'] = bootstrap.interval(lanes[:, 0])
    if any(drive.distance != 'unknown' for drive in plan.drives):
        labels = (*plan.bands.labels, 'unknown')
        record['by_distance'] = {
            label: summary(band, names) for label, band in zip(labels, sums.confusion[index])
        }
    return record


def _comparisons(
    evaluation: Evaluation, sums: Tally, bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Every further model against the first, on the same resampled frames."""
    if len(evaluation.models) < 2 or not sums.with_truth:
        return []
    values = {'miou': bootstrap.samples(sums.blocks, mean_iou)}
    whole = {'miou': mean_iou(sums.confusion.sum(1))}
    if evaluation.plan.spec.markings:
        name = lane_name(evaluation.plan.spec.tolerance_px)
        values[name] = bootstrap.samples(sums.lane_blocks, lane_iou)
        whole[name] = lane_iou(sums.lane)
    scores = [frame_scores(evaluation.book, i)['miou'] for i in range(len(evaluation.models))]
    rows = []
    for other in range(1, len(evaluation.models)):
        figures = {
            name: {
                'difference': number(whole[name][other] - whole[name][0]),
                'interval': bootstrap.interval(drawn[:, other] - drawn[:, 0]),
            }
            for name, drawn in values.items()
        }
        rows.append(
            {
                'model': evaluation.models[other].choice.label,
                'against': evaluation.models[0].choice.label,
                'figures': figures,
                'frames_better': int(np.count_nonzero(scores[other] > scores[0])),
                'frames_worse': int(np.count_nonzero(scores[other] < scores[0])),
            }
        )
    return rows


def _gallery(evaluation: Evaluation, rate: float | None) -> dict[str, Any]:
    """Frames to show, by the first model: worst and best with labels, else the most restless."""
    book = evaluation.book
    scores = frame_scores(book, 0)
    by_truth = bool(np.any(~np.isnan(scores['miou'])))
    values = scores['miou'] if by_truth else scores['changed']
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind='stable')]
    gap = max(1, min(round(rate or 10), len(order) // (3 * _GALLERY)))

    def entry(index: int) -> dict[str, Any]:
        record = book[index]
        return {
            'drive': int(record['drive']),
            'number': int(record['number']),
            'stamp': int(record['stamp']),
            'log': int(record['log']),
            'score': number(values[index]),
        }

    first = spread_out(order if by_truth else order[::-1], _GALLERY, gap)
    last = spread_out(order[::-1] if by_truth else order, _GALLERY, gap)
    return {
        'by': 'mIoU of the frame' if by_truth else 'share of changed pixels',
        'worst': [entry(index) for index in first],
        'best': [entry(index) for index in last if index not in first],
    }


def _timing(evaluation: Evaluation) -> dict[str, Any]:
    """Times in ms; the only part of the report that differs between two runs."""
    book = evaluation.book
    ok = book.column(lambda c: c['status'] == EVALUATED).astype(bool)
    models = []
    for index, facts in enumerate(evaluation.models):
        laps = book.column(lambda c, i=index: c['models'][:, i]['ms'])
        laps = laps[ok] if len(laps) else np.zeros((0, len(MODEL_STAGES)))
        stages = {name: percentiles(laps[:, i]) for i, name in enumerate(MODEL_STAGES)}
        stages['total'] = percentiles(laps.sum(1))
        streams = side_by_side(facts.choice.options, evaluation.streams)
        models.append(
            {
                'label': facts.choice.label,
                'streams': len(streams),
                'threads': streams[0].thread_count,
                'stages_ms': stages,
                'network_alone_ms': None if facts.alone_ms is None else round(facts.alone_ms, 3),
            }
        )
    laps = book.column(lambda c: c['ms'])
    frame = {
        name: percentiles(laps[ok][:, i]) if len(laps) else percentiles(())
        for i, name in enumerate(FRAME_STAGES)
    }
    rate = evaluation.frames_run / evaluation.wall_s if evaluation.wall_s else None
    alone = [facts.alone_ms for facts in evaluation.models]
    share = None
    if rate and all(a is not None for a in alone):
        share = round(rate * sum(a for a in alone if a is not None) / 1e3, 3)
    return {
        'models': models,
        'frame_stages_ms': frame,
        'frames_run': evaluation.frames_run,
        'wall_s': round(evaluation.wall_s, 3),
        'frames_per_second': round(rate, 2) if rate else None,
        'share_of_network_rate': share,
    }
