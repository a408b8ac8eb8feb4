"""The benchmark page: Markdown tables and the figures that the project promised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seg_node.files import write_atomic
from seg_node_training.benchmark_table.cases import DEFAULT
from seg_node_training.benchmark_table.plan import CAMERA, PREDECESSOR
from seg_node_training.benchmark_table.promises import promises

Record = Mapping[str, Any]
GROUPS = {
    'default': '`light_unet`, the default before `lane_small`',
    'camera': f'Camera picture {CAMERA[0]}x{CAMERA[1]} to a mask of its size',
    'predecessor': f"The predecessor's U-Net, `{PREDECESSOR}`",
    'recipes': 'The other recipes',
    'peers': 'Networks of others, random weights',
}
ABOUT = {
    'peers': 'Latency and size alone: their weights are random, so nothing is said about what '
    'they see. int8 is our static QDQ, run by OpenVINO. YOLO is timed without its boxes.',
    'camera': 'Resize, normalise, network, decide, mask at camera size; for the predecessor the '
    'path of its own node with its static int8 network in PyTorch.',
    'recipes': 'Their weights come from runs of some minutes '
    '(`seg_node_training.benchmark_table.small_runs`), which shows what quantization '
    'costs, not what the networks can do.',
}


def number(value: float | None, digits: int = 2) -> str:
    """A figure for a cell."""
    return '–' if value is None else f'{value:.{digits}f}'


def table(records: Iterable[Record]) -> list[str]:
    """Speed and size, one line a record."""
    heads = (
        *('model', 'input', 'precision', 'runtime', 'M parameters', 'GMAC', 'file MB', 'p50 ms'),
        *('p95', 'p99', '× default', 'cold start s', 'RSS MB', '% of int8 peak', 'mean IoU'),
        'ranking',
    )
    rows = ['| ' + ' | '.join(heads) + ' |', '|' + '---|' * len(heads)]
    for r in records:
        if 'error' in r:
            cells = [r['model'], r['size'], r['precision'], r['runtime'], r['error']]
            rows.append('| ' + ' | '.join([*cells, *[''] * (len(heads) - 5)]) + ' |')
            continue
        name = f'**{r["model"]}**' if r['name'] == DEFAULT else r['model']
        parameters = r['parameters']
        share = r['int8_peak_share']
        cells = [
            *(name, r['size'], r['precision'], r['runtime']),
            number(None if parameters is None else parameters / 1e6),
            *(number(r['gmacs']), number(r['file_mb'])),
            *(number(r['p50']), number(r['p95']), number(r['p99'])),
            *(number(r['times_default']), number(r['cold_start_s']), number(r['rss_mb'], 0)),
            number(None if share is None else 100 * share, 0),
            *(number(r['mean_iou'], 3), number(r['ranking'], 1)),
        ]
        rows.append('| ' + ' | '.join(cells) + ' |')
    return rows


def accuracy_table(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """IoU of every class, a block a model, a line a kind of file; the worst loss in points."""
    rows = []
    for name, kinds in scores.items():
        classes = list(kinds['fp32'])
        heads = ['file', *classes, 'largest loss, points']
        rows += [f'#### {name}', '', '| ' + ' | '.join(heads) + ' |', '|' + '---|' * len(heads)]
        order = ['fp32', *sorted(k for k in kinds if k != 'fp32')]
        for kind in order:
            values = kinds[kind]
            lost = max(100 * (kinds['fp32'][c] - values.get(c, 0.0)) for c in classes)
            cells = [kind, *(number(values.get(c), 3) for c in classes), number(lost)]
            rows.append('| ' + ' | '.join(cells) + ' |')
        rows.append('')
    return rows


def page(result: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """The whole page from the JSON that the benchmark wrote."""
    records, where = result['lines'], result['machine']
    packages = ', '.join(f'{k} {v}' for k, v in where['packages'].items())
    peak = result['int8_peak_gops']
    lines = [
        '# Benchmarks',
        '',
        f'Written by `python training/benchmark.py`, revision `{result["revision"]}`, '
        f'{result["when"]}. Nothing on this page was typed in.',
        '',
        f'Machine: {where["processor"]}, {where["family"]}, {where["cores"]} cores, '
        f'{", ".join(where["instructions"])}; {packages}. Batch 1, {result["threads"]} threads, '
        f'{result["rounds"]} rounds in turns of {result["seconds"]} s a case, each in a process '
        'of its own; load of the machine while it ran '
        f'{result["load"]["begin"]:.1f} to {result["load"]["end"]:.1f}.',
        '',
        f'int8 peak measured in the same run: {number(peak, 0)} GOP/s (six 3x3 convolutions of '
        '256 channels in OpenVINO, best lap). `× default` is the median time over that of the '
        'shipped default, which is run again between every few cases: on a shared machine read '
        "these ratios, not the milliseconds. `ranking` is source system 5's parameters (M) × "
        'FLOPs (G) × e^(1 − mean IoU), smaller is better. Cold start: from the creation of the '
        'process to the first answer, nothing cached.',
        '',
        '## What was promised',
        '',
        '| figure | wanted | measured | |',
        '|---|---|---|---|',
        *[
            f'| {p.what} | {p.promised} | {p.measured} | {"reached" if p.reached else p.why} |'
            for p in promises(result)
        ],
        '',
        '## Speed, size, memory',
        '',
    ]
    for group, heading in GROUPS.items():
        chosen = [r for r in records if r['group'] == group]
        if chosen:
            lines += [f'### {heading}', '']
            lines += [ABOUT[group], ''] if group in ABOUT else []
            lines += [*table(chosen), '']
    lines += [
        '## Accuracy by file',
        '',
        'IoU over all known pixels of a set at source size (the protocol of `models/README.md`); '
        f'at most {result["pictures_a_set"]} pictures a set. `int8` is the QDQ file in OpenVINO, '
        "`nncf` NNCF's own IR, `torch_int8` PyTorch's static int8.",
        '',
    ]
    lines += [f'- `{n}`: {t}' for n, t in result['notes'].items()]
    lines += ['', *accuracy_table(result['scores'])]
    lines += ['## Pictures', '', *(f'![{Path(p).stem}]({p})\n' for p in pictures)]
    if result['missing']:
        lines += ['## Not measured here', '']
        lines += [f'- {m["name"]}: {m["reason"]}' for m in result['missing']]
        lines.append('')
    lines += [
        '- TensorRT runs the same QDQ file, by ONNX Runtime (`backend: tensorrt`) or '
        '`trtexec --onnx=models/lane_light_unet_int8.onnx --int8`; U8 activations need '
        'TensorRT 10 or a file with S8 activations. No GPU was at hand: unmeasured.',
        '- LiteRT files need `litert-torch`, which pins an older torch: `pip install --target '
        'out/litert --no-deps litert-torch litert-converter jax jaxlib opt-einsum jaxtyping '
        'wadler-lindig multipledispatch lark xdsl`, then `PYTHONPATH=out/litert`. The other '
        "runtimes: `pip install -e '.[bench]'`.",
        '',
    ]
    return '\n'.join(lines)


def write_page(result: Mapping[str, Any], path: Path, pictures: Sequence[str]) -> None:
    """Write the page."""
    with write_atomic(path) as temporary:
        temporary.write_text(page(result, pictures), encoding='utf-8')
