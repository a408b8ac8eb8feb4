"""The report as one HTML file that opens from disk, offline: `report.html` and `report.json`."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from seg_node.files import write_atomic, write_json
from seg_node.replay import charts
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.markup import (
    card,
    facts,
    interval,
    key,
    milliseconds,
    percent,
    section,
    share,
    table,
)
from seg_node.replay.pictures import Picture, pictures
from seg_node.replay.report import SCHEMA
from seg_node.replay.tally import frame_scores

Report = dict[str, Any]
_STAGES = ('preprocess', 'infer', 'postprocess')


def write_report(folder: Path, evaluation: Evaluation, report: Report) -> None:
    """Write `report.json` and `report.html` into `folder`; each is whole or not there."""
    gallery = report['gallery']
    wanted = [*gallery['worst'], *gallery['best']]
    page = render(report, evaluation, pictures(evaluation, wanted))
    write_json(folder / 'report.json', report)
    with write_atomic(folder / 'report.html') as temporary:
        temporary.write_text(page, encoding='utf-8')


def render(report: Report, evaluation: Evaluation, found: list[Picture]) -> str:
    """The page as text."""
    title = 'Replay of ' + ', '.join(dict.fromkeys(d['bag'] for d in report['protocol']['drives']))
    parts = [
        _head(report, title),
        _problems(report),
        _cards(report),
        _figures(report),
        _comparisons(report),
        _over_time(report, evaluation),
        _gallery(report, found),
        _confusions(report),
        _distance(report),
        _latency(report),
        _realtime(report),
        _protocol(report),
    ]
    template = Template(
        resources.files('seg_node.replay').joinpath('page.html').read_text(encoding='utf-8')
    )
    # "</" would end the script element early.
    data = json.dumps(report, allow_nan=False).replace('</', '<\\/')
    return template.substitute(
        title=escape(title), schema=SCHEMA, body='\n'.join(parts), json=data
    )


def _labels(report: Report) -> list[str]:
    return [model['label'] for model in report['models']]


def _scored(report: Report) -> bool:
    return bool(report['frames']['with_ground_truth'])


def _head(report: Report, title: str) -> str:
    frames, protocol = report['frames'], report['protocol']
    badge = (
        '<span class="badge">complete</span>'
        if report['complete']
        else '<span class="badge part">evaluated in part</span>'
    )
    cameras = ', '.join(dict.fromkeys(d['camera'] for d in protocol['drives']))
    line = f'{frames["evaluated"]:,} of {frames["read"]:,} frames of {cameras}'
    if frames['rate_hz']:
        line += f' at {frames["rate_hz"]:g} Hz'
    if _scored(report):
        line += f', {frames["with_ground_truth"]:,} with ground truth'
    models = ' vs '.join(_labels(report))
    return f'<h1>{escape(title)} {badge}</h1><p class="sub">{escape(line)} · {escape(models)}</p>'


def _problems(report: Report) -> str:
    if not report['problems']:
        return ''
    items = ''.join(f'<li>{escape(problem)}</li>' for problem in report['problems'])
    return (
        f'<section class="problems"><h2>What could not be evaluated</h2><ul>{items}</ul></section>'
    )


def _cards(report: Report) -> str:
    """The headline of the first model."""
    model, times = report['models'][0], report['timing']
    cards = []
    if _scored(report):
        cards.append(card('mean IoU', share(model['miou']), interval(model['miou_interval'])))
        names = report['protocol']['classes']
        for name in names[1:2]:
            cards.append(card(f'IoU {_words(name)}', share(model['classes'][name]['iou']), ''))
        if 'lane' in model:
            lane = model['lane']
            more = f'plain IoU {share(_lane_class(model))} · {interval(lane["iou_interval"])}'
            pixels = lane['tolerance_px']
            cards.append(card(f'lane IoU within {pixels} px', share(lane['iou']), more))
    flipped = model['flicker']['flipped']
    cards.append(card('flicker', percent(flipped, 2), 'pixels that flip there and back a frame'))
    total = times['models'][0]['stages_ms']['total']
    more = f'p95 {total["p95"]:.1f} · p99 {total["p99"]:.1f}'
    cards.append(card('latency a frame, median', f'{total["p50"]:.1f} <small>ms</small>', more))
    head = f'<p class="sub">{escape(model["label"])}</p>' if len(report['models']) > 1 else ''
    return f'{head}<div class="cards">{"".join(cards)}</div>'


def _lane_class(model: dict[str, Any]) -> float | None:
    found = model['classes'].get('lane_marking')
    return None if found is None else found['iou']


def _figures(report: Report) -> str:
    if not _scored(report):
        rows = [
            [_words(name), *(percent(m['area'][name], 1) for m in report['models'])]
            for name in report['protocol']['classes']
            if 'area' in report['models'][0]
        ]
        rows += _flicker_rows(report)
        note = f'No frame has ground truth. Flicker: {report["protocol"]["flicker"]}.'
        return section(
            'What the masks hold', table(['share of pixels', *_labels(report)], rows), note
        )
    rows = []
    for name in report['protocol']['classes']:
        for figure in ('iou', 'precision', 'recall'):
            what = 'IoU' if figure == 'iou' else figure
            values = [m['classes'][name][figure] for m in report['models']]
            rows.append([f'{what} {_words(name)}', *_marked(values)])
    rows.insert(0, ['mean IoU', *_marked([m['miou'] for m in report['models']])])
    rows.insert(
        1, ['mean IoU, foreground', *_marked([m['miou_foreground'] for m in report['models']])]
    )
    if 'lane' in report['models'][0]:
        pixels = report['protocol']['lane_tolerance_px']
        for figure in ('iou', 'precision', 'recall'):
            what = 'IoU' if figure == 'iou' else figure
            values = [m['lane'][figure] for m in report['models']]
            rows.append([f'lane {what} within {pixels} px', *_marked(values)])
    rows += _flicker_rows(report)
    return section('Figures', table(['', *_labels(report)], rows), _statement(report))


def _flicker_rows(report: Report) -> list[list[str]]:
    return [
        [
            f'{what} pixels, frame to frame',
            *(percent(m['flicker'][what], 2) for m in report['models']),
        ]
        for what in ('changed', 'flipped')
    ]


def _marked(values: list[float | None]) -> list[str]:
    """Figures of one row, the best of several in bold."""
    known = [value for value in values if value is not None]
    best = max(known) if len(known) > 1 else None
    return [f'<b>{share(v)}</b>' if v is not None and v == best else share(v) for v in values]


def _statement(report: Report) -> str:
    """The protocol in one paragraph; stands under every table of scores."""
    protocol, frames = report['protocol'], report['frames']
    return (
        f'{frames["with_ground_truth"]:,} frames. Labels: {protocol["class_map"]}. '
        f'Scored: {protocol["scored"]}; {protocol["ignored"]}; masks {protocol["mask"]}; '
        f'{protocol["averages"]}. Lane IoU within {protocol["lane_tolerance_px"]} px: paint '
        f'counts as found within that radius. Flicker: {protocol["flicker"]}.'
    )


def _comparisons(report: Report) -> str:
    if not report['comparisons']:
        return ''
    rows, lines = [], []
    for found in report['comparisons']:
        name = f'{found["model"]} − {found["against"]}'
        for figure, value in found['figures'].items():
            low, high = value['interval']
            if low is not None and value['difference'] is not None:
                rows.append(
                    (f'{found["model"]}: {_words(figure)}', value['difference'], low, high)
                )
        lines.append([escape(name), f'{found["frames_better"]:,}', f'{found["frames_worse"]:,}'])
    boot = report['protocol']['bootstrap']
    note = (
        f'Difference to {escape(report["comparisons"][0]["against"])} with its '
        f'{boot["level"]:.0%} interval ({boot["method"]}, blocks of {boot["block_frames"]} '
        f'frames, {boot["draws"]:,} draws, seed {boot["seed"]}). Grey: the interval holds zero.'
    )
    body = charts.intervals(rows) + table(['mIoU of the frame', 'frames better', 'worse'], lines)
    return section('Is the difference real?', body, note)


def _over_time(report: Report, evaluation: Evaluation) -> str:
    book = evaluation.book
    if not len(book):
        return ''
    labels = _labels(report)
    scores = [frame_scores(book, index) for index in range(len(labels))]
    rate = report['frames']['rate_hz']
    span = len(book) / rate if rate else float(len(book))
    axis = 'seconds' if rate else 'frames'

    def plot(name: str, y_name: str, top: float | None) -> str:
        series = [charts.Series(one, found[name]) for one, found in zip(labels, scores)]
        if all(np.isnan(one.values).all() for one in series):
            return ''
        return f'<h3>{y_name}</h3>' + charts.lines(series, span, axis, y_name, top)

    parts = [
        key(labels) if len(labels) > 1 else '',
        plot('miou', 'mean IoU of the frame', 1.0),
        plot('lane', f'lane IoU within {report["protocol"]["lane_tolerance_px"]} px', 1.0),
        plot('changed', 'share of changed pixels', None),
    ]
    note = 'Line: mean of neighbouring frames; band: lowest and highest of them.'
    return section('Over the drive', ''.join(parts), note)


def _distance(report: Report) -> str:
    if 'by_distance' not in report['models'][0]:
        return ''
    labels = _labels(report)
    bands = report['protocol']['distance_bands']
    parts = [key(labels) if len(labels) > 1 else '']
    for name in report['protocol']['classes'][1:]:
        series = [
            (m['label'], [m['by_distance'][band]['classes'][name]['iou'] for band in bands])
            for m in report['models']
        ]
        parts.append(f'<h3>IoU {escape(_words(name))}</h3>')
        parts.append(charts.grouped_bars(bands, series, f'IoU {_words(name)}'))
    how = '; '.join(dict.fromkeys(d['distance'] for d in report['protocol']['drives']))
    note = f'Distance along the optical axis, from {escape(how)}. {_statement(report)}'
    return section('By distance', ''.join(parts), note)


def _confusions(report: Report) -> str:
    if not _scored(report):
        return ''
    names = report['protocol']['classes']
    drawn = [
        f'<div><h3>{escape(m["label"])}</h3>{charts.matrix(m["confusion"], names)}</div>'
        for m in report['models']
    ]
    note = 'Rows: labelled class. Per cent of the row. ' + _statement(report)
    return section('What is taken for what', f'<div class="pair">{"".join(drawn)}</div>', note)


def _several(model: dict[str, Any]) -> str:
    """How many frames were in the network at a time, when there was more than one."""
    if model['streams'] == 1:
        return ''
    return (
        f', and {model["streams"]} frames are in the network at a time, on {model["threads"]} '
        'thread each (--streams 1 takes one after the other)'
    )


def _latency(report: Report) -> str:
    timing = report['timing']
    decode = timing['frame_stages_ms']['decode']
    bars = [
        (
            model['label'],
            [('decode', decode['p50'])]
            + [(stage, model['stages_ms'][stage]['p50']) for stage in _STAGES],
        )
        for model in timing['models']
    ]
    rows = [['read and decode', '', *milliseconds(decode)]]
    for model in timing['models']:
        rows += [
            [stage, escape(model['label']), *milliseconds(model['stages_ms'][stage])]
            for stage in (*_STAGES, 'total')
        ]
    rows.append(
        ['compare with the labels', '', *milliseconds(timing['frame_stages_ms']['compare'])]
    )
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
    body = (
        charts.stage_bars(bars)
        + key(['decode', *_STAGES], 's')
        + table(['stage', 'model', 'p50 ms', 'p95 ms', 'p99 ms'], rows)
    )
    return section('Latency', body, note)


def _realtime(report: Report) -> str:
    if 'realtime' not in report:
        return ''
    rows = []
    for drive, found in zip(report['protocol']['drives'], report['realtime']['drives']):
        counts = (found[name] for name in ('sent', 'masks', 'dropped'))
        equal = f'{found["equal"]:,} of {found["compared"]:,}'
        rows.append(
            [
                escape(drive['bag']),
                *(f'{count:,}' for count in counts),
                equal,
                *milliseconds(found['frame_age_ms']),
            ]
        )
    head = ['drive', 'sent', 'masks', 'dropped', 'equal to offline']
    note = (
        f'The same frames played over DDS into a running node at {report["realtime"]["rate"]:g} '
        'times their recorded pace. Age: from handing a frame to DDS to having its mask back.'
    )
    ages = ['age p50 ms', 'p95 ms', 'p99 ms']
    return section('In real time', table([*head, *ages], rows), note)


def _gallery(report: Report, found: list[Picture]) -> str:
    by_frame = {(picture.drive, picture.number): picture for picture in found}
    gallery = report['gallery']
    scored = _scored(report)
    titles = {
        'worst': 'Worst frames' if scored else 'Most restless frames',
        'best': 'Best frames' if scored else 'Calmest frames',
    }
    parts = []
    for which, title in titles.items():
        figures = []
        for entry in gallery[which]:
            picture = by_frame.get((entry['drive'], entry['number']))
            if picture is None:
                continue
            views = list(picture.views)
            images = ''.join(
                f'<img data-view="{escape(view)}" alt="{escape(view)} of frame {picture.number}" '
                f'src="{address}"{"" if i == 0 else " hidden"}>'
                for i, (view, address) in enumerate(picture.views.items())
            )
            score = f'{escape(gallery["by"])}: {share(entry["score"])}'
            caption = f'<figcaption>frame {picture.number:,} · {score}</figcaption>'
            figures.append(f'<figure>{images}{caption}</figure>')
        if not figures:
            continue
        buttons = ''.join(
            f'<button type="button" data-view="{escape(view)}" '
            f'aria-pressed="{str(not i).lower()}">{escape(view)}</button>'
            for i, view in enumerate(views)
        )
        note = (
            'Errors: green right, orange found but not labelled so, blue missed.' if scored else ''
        )
        parts.append(
            section(
                title,
                f'<div class="views">{buttons}</div><div class="gallery">{"".join(figures)}</div>',
                note,
            )
        )
    return ''.join(parts)


def _protocol(report: Report) -> str:
    protocol, frames = report['protocol'], report['frames']
    drives = [
        [
            escape(d['bag']),
            escape(d['camera']),
            escape(d['ground_truth'] or '–'),
            escape(d['distance']),
            escape(', '.join(d['other_camera_topics']) or '–'),
        ]
        for d in protocol['drives']
    ]
    counted = {
        'frames read': frames['read'],
        'evaluated': frames['evaluated'],
        'rejected': ', '.join(f'{n} {cause}' for cause, n in frames['rejected'].items()) or 0,
        'with ground truth': frames['with_ground_truth'],
        'ground truth that could not be used': frames['ground_truth_not_used'],
        'frames without ground truth': frames['without_ground_truth'],
        'labels without a frame': frames['labels_without_frame'],
    }
    settings = {
        name: protocol[name]
        for name in ('class_map', 'scored', 'ignored', 'mask', 'averages', 'join', 'flicker')
    }
    models = [
        facts(model['label'], {k: v for k, v in model.items() if isinstance(v, str)})
        for model in report['models']
    ]
    unmatched = _unmatched(frames)
    body = (
        table(['bag', 'camera', 'ground truth', 'distance', 'other cameras'], drives, text=True)
        + facts('Frames', counted)
        + unmatched
        + facts('Protocol', settings)
        + ''.join(models)
        + facts('Versions', report['versions'])
    )
    return section('Protocol and versions', body, '')


def _unmatched(frames: dict[str, Any]) -> str:
    parts = []
    for name, title in (
        ('without_ground_truth_stamps', 'Frames without ground truth'),
        ('labels_without_frame_stamps', 'Labels without a frame'),
    ):
        if frames[name]:
            listed = ', '.join(map(str, frames[name]))
            parts.append(
                f'<details><summary>{title}: stamps (ns), the first {len(frames[name])}</summary>'
                f'<code>{listed}</code></details>'
            )
    return ''.join(parts)


def _words(name: str) -> str:
    return name.replace('_', ' ')
