"""The report as one HTML file that opens from disk, offline: `report.html` and `report.json`.

`page.html` is a template that escapes whatever it is given: names of classes, topics, bags and
models are text of others. Only the plots, which escape by themselves, are markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from seg_node.files import write_atomic, write_json
from seg_node.replay import charts
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.journal import MODEL_STAGES
from seg_node.replay.pictures import Picture, pictures
from seg_node.replay.tally import frame_scores

Report = dict[str, Any]
Rows = list[list[str]]


def write_report(folder: Path, evaluation: Evaluation, report: Report) -> None:
    """Write `report.json` and `report.html` into `folder`; each is whole or not there."""
    gallery = report['gallery']
    chosen = [*gallery['worst'], *gallery['best']]
    page = render(report, evaluation, pictures(evaluation, chosen))
    with write_atomic(folder / 'report.html') as temporary:
        temporary.write_text(page, encoding='utf-8')
        write_json(folder / 'report.json', report)


def render(report: Report, evaluation: Evaluation, views: list[Picture]) -> str:
    """The page as text."""
    template = _environment().get_template('page.html')
    return template.render(
        report=report,
        charts=charts,
        title='Replay of ' + ', '.join(_each(report, 'bag')),
        summary=_summary(report),
        labels=_labels(report),
        scored=_scored(report),
        statement=_statement(report),
        figures=_figures(report),
        plots=list(_plots(report, evaluation)),
        galleries=list(_galleries(report, views)),
        bars=list(_bars(report)),
        distance_note=f'Distance along the optical axis, from '
        f'{"; ".join(_each(report, "distance"))}. {_statement(report)}',
        **_comparisons(report),
        **_latency(report),
        realtime=_realtime(report),
        **_protocol(report),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies['json.dumps_kwargs'] = {'allow_nan': False}
    environment.filters |= {
        'facts': lambda values: [[_words(k), '–' if v is None else v] for k, v in values.items()],
        'grouped': lambda number: f'{number:,}',
        'interval': interval,
        'percent': percent,
        'share': share,
        'texts': lambda values: {k: v for k, v in values.items() if isinstance(v, str)},
        'words': _words,
    }
    return environment


def share(value: float | None) -> str:
    """A figure from 0 to 1."""
    return '–' if value is None else f'{value:.3f}'


def percent(value: float | None, digits: int) -> str:
    """A share as per cent."""
    return '–' if value is None else f'{value:.{digits}%}'


def interval(bounds: Sequence[float | None]) -> str:
    """A 95 % interval."""
    low, high = bounds
    return '' if low is None or high is None else f'95 %: {low:.3f} to {high:.3f}'


def _words(name: str) -> str:
    return name.replace('_', ' ')


def _labels(report: Report) -> list[str]:
    return [model['label'] for model in report['models']]


def _scored(report: Report) -> bool:
    return bool(report['frames']['with_ground_truth'])


def _each(report: Report, field: str) -> list[str]:
    """The different values of a field of the drives, in their order."""
    return list(dict.fromkeys(drive[field] for drive in report['protocol']['drives']))


def _summary(report: Report) -> str:
    frames = report['frames']
    cameras = ', '.join(_each(report, 'camera'))
    line = f'{frames["evaluated"]:,} of {frames["read"]:,} frames of {cameras}'
    if frames['rate_hz']:
        line += f' at {frames["rate_hz"]:g} Hz'
    if _scored(report):
        line += f', {frames["with_ground_truth"]:,} with ground truth'
    return line


def _statement(report: Report) -> str:
    """The protocol in one paragraph; stands under every table of scores."""
    protocol, frames = report['protocol'], report['frames']
    if not _scored(report):
        return f'No frame has ground truth. Flicker: {protocol["flicker"]}.'
    return (
        f'{frames["with_ground_truth"]:,} frames. Labels: {protocol["class_map"]}. '
        f'Scored: {protocol["scored"]}; {protocol["ignored"]}; masks {protocol["mask"]}; '
        f'{protocol["averages"]}. Lane IoU within {protocol["lane_tolerance_px"]} px: paint '
        f'counts as found within that radius. Flicker: {protocol["flicker"]}.'
    )


def _figures(report: Report) -> Rows:
    """A row a figure, a column a model."""
    models, protocol = report['models'], report['protocol']
    rows: Rows = []
    if _scored(report):
        rows.append(['mean IoU', *_marked([m['miou'] for m in models])])
        rows.append(['mean IoU, foreground', *_marked([m['miou_foreground'] for m in models])])
        for name in protocol['classes']:
            rows += _scores(_words(name), [m['classes'][name] for m in models])
        if 'lane' in models[0]:
            within = f' within {protocol["lane_tolerance_px"]} px'
            rows += _scores('lane', [m['lane'] for m in models], within)
    elif 'area' in models[0]:
        rows += [
            [_words(name), *(percent(m['area'][name], 1) for m in models)]
            for name in protocol['classes']
        ]
    for what in ('changed', 'flipped'):
        shares = [percent(m['flicker'][what], 2) for m in models]
        rows.append([f'{what} pixels, frame to frame', *shares])
    return rows


def _scores(name: str, scores: Sequence[Mapping[str, Any]], more: str = '') -> Iterator[list[str]]:
    for figure, title in (('iou', 'IoU'), ('precision', 'precision'), ('recall', 'recall')):
        line = f'{name} {title}' if more else f'{title} {name}'
        yield [line + more, *_marked([one[figure] for one in scores])]


def _marked(values: list[float | None]) -> list[str]:
    """Figures of one row, the best of several in bold."""
    known = [value for value in values if value is not None]
    best = max(known) if len(known) > 1 else None
    bold = Markup('<b>{}</b>')
    return [bold.format(share(v)) if v is not None and v == best else share(v) for v in values]


def _comparisons(report: Report) -> dict[str, Any]:
    rows, wins = [], []
    for comparison in report['comparisons']:
        for figure, value in comparison['figures'].items():
            low, high = value['interval']
            if low is not None and value['difference'] is not None:
                name = f'{comparison["model"]}: {_words(figure)}'
                rows.append((name, value['difference'], low, high))
        name = f'{comparison["model"]} − {comparison["against"]}'
        wins.append([name, f'{comparison["frames_better"]:,}', f'{comparison["frames_worse"]:,}'])
    if not wins:
        return {'wins': []}
    boot = report['protocol']['bootstrap']
    note = (
        f'Difference to {report["comparisons"][0]["against"]} with its '
        f'{boot["level"]:.0%} interval ({boot["method"]}, blocks of {boot["block_frames"]} '
        f'frames, {boot["draws"]:,} draws, seed {boot["seed"]}). Grey: the interval holds zero.'
    )
    return {'differences': charts.intervals(rows), 'wins': wins, 'difference_note': note}


def _plots(report: Report, evaluation: Evaluation) -> Iterator[tuple[str, Markup]]:
    """Figures of the frames over the drive, those that exist."""
    book, labels = evaluation.book, _labels(report)
    if not len(book):
        return
    scores = [frame_scores(book, index) for index in range(len(labels))]
    rate = report['frames']['rate_hz']
    span = len(book) / rate if rate else float(len(book))
    within = report['protocol']['lane_tolerance_px']
    for name, title, top in (
        ('miou', 'mean IoU of the frame', 1.0),
        ('lane', f'lane IoU within {within} px', 1.0),
        ('changed', 'share of changed pixels', None),
    ):
        series = [charts.Series(label, one[name]) for label, one in zip(labels, scores)]
        if not all(np.isnan(one.values).all() for one in series):
            yield title, charts.lines(series, span, 'seconds' if rate else 'frames', title, top)


def _galleries(
    report: Report, views: list[Picture]
) -> Iterator[tuple[str, list[str], list[tuple[Picture, float]]]]:
    """(title, views, pictures with their scores) of the frames worth looking at."""
    by_frame = {(picture.drive, picture.number): picture for picture in views}
    scored = _scored(report)
    titles = {
        'worst': 'Worst frames' if scored else 'Most restless frames',
        'best': 'Best frames' if scored else 'Calmest frames',
    }
    for which, title in titles.items():
        entries = {(e['drive'], e['number']): e['score'] for e in report['gallery'][which]}
        chosen = [(by_frame[k], score) for k, score in entries.items() if k in by_frame]
        if chosen:
            yield title, list(chosen[-1][0].views), chosen


def _bars(report: Report) -> Iterator[tuple[str, Markup]]:
    """IoU by distance of every foreground class."""
    models, bands = report['models'], report['protocol']['distance_bands']
    if 'by_distance' not in models[0]:
        return
    for name in report['protocol']['classes'][1:]:
        series = [
            (m['label'], [m['by_distance'][band]['classes'][name]['iou'] for band in bands])
            for m in models
        ]
        yield name, charts.grouped_bars(bands, series, f'IoU {_words(name)}')


def _latency(report: Report) -> dict[str, Any]:
    timing = report['timing']
    frame = timing['frame_stages_ms']
    rows = [['read and decode', '', *_milliseconds(frame['decode'])]]
    bars = []
    for model in timing['models']:
        stages = model['stages_ms']
        rows += [
            [stage, model['label'], *_milliseconds(stages[stage])]
            for stage in (*MODEL_STAGES, 'total')
        ]
        parts = [(stage, stages[stage]['p50']) for stage in MODEL_STAGES]
        bars.append((model['label'], [('decode', frame['decode']['p50']), *parts]))
    rows.append(['compare with the labels', '', *_milliseconds(frame['compare'])])
    speed = f'{timing["frames_run"]:,} frames in {timing["wall_s"]:.1f} s'
    if timing['frames_per_second']:
        speed += f': {timing["frames_per_second"]:.1f} a second'
    if timing['share_of_network_rate']:
        speed += f', {timing["share_of_network_rate"]:.0%} of the rate of the network by itself'
    note = (
        f'{speed}. Reading, network and counting run side by side, so stages of this evaluation '
        f'are slower than in the node{_several(timing["models"][0])}; other work on the machine '
        'shows as well.'
    )
    return {
        'stages': list(MODEL_STAGES),
        'stage_bars': bars,
        'latency': rows,
        'latency_note': note,
    }


def _several(model: dict[str, Any]) -> str:
    """How many frames were in the network at a time, when there was more than one."""
    if model['streams'] == 1:
        return ''
    return (
        f', and {model["streams"]} frames are in the network at a time, on {model["threads"]} '
        'thread each (--streams 1 takes one after the other)'
    )


def _milliseconds(times: Mapping[str, float]) -> list[str]:
    """p50, p95 and p99."""
    return [f'{times[name]:.2f}' for name in ('p50', 'p95', 'p99')]


def _realtime(report: Report) -> Rows:
    drives = zip(
        report['protocol']['drives'], report.get('realtime', {}).get('drives', ()), strict=False
    )
    return [
        [
            drive['bag'],
            *(f'{figures[name]:,}' for name in ('sent', 'masks', 'dropped')),
            f'{figures["equal"]:,} of {figures["compared"]:,}',
            *_milliseconds(figures['frame_age_ms']),
        ]
        for drive, figures in drives
    ]


def _protocol(report: Report) -> dict[str, Any]:
    protocol, frames = report['protocol'], report['frames']
    rejected = ', '.join(f'{count} {cause}' for cause, count in frames['rejected'].items())
    return {
        'drives': [
            [
                drive['bag'],
                drive['camera'],
                drive['ground_truth'] or '–',
                drive['distance'],
                ', '.join(drive['other_camera_topics']) or '–',
            ]
            for drive in protocol['drives']
        ],
        'counted': {
            'frames read': frames['read'],
            'evaluated': frames['evaluated'],
            'rejected': rejected or 0,
            'with ground truth': frames['with_ground_truth'],
            'ground truth that could not be used': frames['ground_truth_not_used'],
            'frames without ground truth': frames['without_ground_truth'],
            'labels without a frame': frames['labels_without_frame'],
        },
        'settings': {
            name: protocol[name]
            for name in ('class_map', 'scored', 'ignored', 'mask', 'averages', 'join', 'flicker')
        },
    }
