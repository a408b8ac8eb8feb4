"""From measurements to lines of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seg_node_training.benchmark_table.accuracy import accuracy_of, mean_iou
from seg_node_training.benchmark_table.cases import PEAK, Case
from seg_node_training.benchmark_table.count import multiply_accumulates, ranking
from seg_node_training.benchmark_table.nets import Net
from seg_node_training.benchmark_table.plan import Plan

SCORED = {
    ('int8', 'onnxruntime'): 'int8 onnxruntime',
    ('bf16', 'openvino'): 'bf16',
}
"""Where the accuracy of a line is not that of its file in OpenVINO in fp32."""


def size_of(case: Case) -> int | None:
    """Bytes of what a case runs, None for a network that has no file."""
    if not case.file:
        return None
    path = Path(case.file)
    parts = [path, path.with_suffix('.bin')] if path.suffix == '.xml' else [path]
    if case.runtime == 'ncnn':
        parts = [Path(f'{path}.param'), Path(f'{path}.bin')]
    return sum(part.stat().st_size for part in parts)


def kinds_to_score(net: Net, cases: Sequence[Case]) -> list[str]:
    """Kinds of files of `net` that a line of the table runs and that can be scored."""
    kinds = {
        case.facts['kind']
        for case in cases
        if case.model == net.name and case.size == net.size and case.facts.get('kind')
    }
    return sorted((kinds | {'fp32'}) - {'ncnn'})


def score_all(plan: Plan, store: Path) -> dict[str, dict[str, dict[str, float]]]:
    """IoU by `model WxH`, by kind of file, by `set/class`."""
    return {
        _key(net.name, net.size): accuracy_of(net, kinds_to_score(net, plan.cases), store)
        for net in plan.nets
        if net.evaluated
    }


def _key(name: str, size: tuple[int, int]) -> str:
    return f'{name} {size[0]}x{size[1]}'


def lines(
    plan: Plan,
    timing: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> list[dict[str, Any]]:
    """One record a case: everything that the table and the plots show."""
    macs: dict[str, int] = {}
    records = []
    for case in plan.cases:
        folder = Path(case.file).parent if case.file else None
        key = _key(case.model, case.size)
        if folder is not None and key not in macs and (folder / 'fp32.onnx').is_file():
            macs[key] = multiply_accumulates(folder / 'fp32.onnx')
    peak = peak_gops(plan, timing, macs)
    for case in plan.cases:
        if case.name == PEAK:
            continue
        time = dict(timing.get(case.name, {'error': 'not measured'}))
        count = macs.get(_key(case.model, case.size)) if case.group != 'camera' else None
        kind = case.facts.get('kind') or 'fp32'
        scored = SCORED.get((case.precision, case.runtime), kind)
        iou = dict(scores.get(_key(case.model, case.size), {}).get(scored, {}))
        rank = None
        if count and case.facts.get('parameters'):
            rank = ranking(case.facts['parameters'], count, mean_iou(iou))
        share = None
        if count and peak and 'p50' in time:
            share = 2 * count / time['p50'] / 1e6 / peak
        size = size_of(case)
        records.append(
            {
                'name': case.name,
                'model': case.model,
                'precision': case.precision,
                'runtime': case.runtime,
                'size': f'{case.size[0]}x{case.size[1]}',
                'group': case.group,
                'note': case.facts.get('note', ''),
                'parameters': case.facts.get('parameters'),
                'gmacs': None if count is None else round(count / 1e9, 3),
                'file_mb': None if size is None else round(size / 1e6, 2),
                'iou': iou,
                'mean_iou': mean_iou(iou),
                'ranking': None if rank is None or math.isinf(rank) else round(rank, 2),
                'int8_peak_share': None if share is None else round(share, 4),
                **time,
            }
        )
    return records


def peak_gops(
    plan: Plan, timing: Mapping[str, Mapping[str, Any]], macs: Mapping[str, int]
) -> float | None:
    """int8 operations a second of the case that only multiplies, in billions; best lap."""
    case = next((c for c in plan.cases if c.name == PEAK), None)
    if case is None or 'best' not in timing.get(PEAK, {}):
        return None
    best_ms = float(timing[PEAK]['best'])
    return 2 * macs[_key(case.model, case.size)] / best_ms / 1e6
