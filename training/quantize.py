"""Quantize a checkpoint to the int8 model file: PTQ, comparison with fp32, metadata, model card.

`python training/quantize.py CHECKPOINT -o models/lane_light_unet_int8.onnx --card`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ''):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from seg_node.errors import ModelError, SegNodeError
from seg_node.files import write_atomic
from seg_node_training.card import Export, write_card
from seg_node_training.checkpoint import load_model
from seg_node_training.evaluate import evaluate_sets, figures, fit, open_set, spec_of
from seg_node_training.graph import (
    Contract,
    compare_with_torch,
    convolution_names,
    export_graph,
    write_metadata,
)
from seg_node_training.ptq import OBSERVERS, quantize_int8
from seg_node_training.runtimes import openvino_scorer
from seg_node_training.specs import describe


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog='quantize.py', description=__doc__)
    made.add_argument('checkpoint', type=Path)
    made.add_argument('-o', '--out', type=Path, required=True, help='the int8 file, *_int8.onnx')
    made.add_argument('--observer', choices=tuple(OBSERVERS), default='percentile')
    made.add_argument('--weights', choices=('ema', 'model'), default='ema')
    made.add_argument('--limit', type=float, default=1.0, help='largest loss of IoU, points')
    made.add_argument('--force', action='store_true', help='write the file even beyond --limit')
    made.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    made.add_argument('--card', action='store_true', help='write README.md beside the file')
    made.add_argument('--keep-fp32', action='store_true', help='write *_fp32.onnx as well')
    return made


def run(arguments: argparse.Namespace) -> None:
    """Checkpoint -> fp32 graph -> int8 graph -> figures of both -> metadata -> card."""
    model, recipe, state = load_model(arguments.checkpoint, arguments.weights)
    spec = spec_of(recipe, arguments.thresholds)
    size = (recipe.input.height, recipe.input.width)
    contract = Contract(model, recipe, spec.thresholds)
    pictures = []
    for part in recipe.data.calibrate:
        data = open_set(part, recipe)
        pictures += [fit(data.load(source)[0], recipe) for source in data.sources()]
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder) / 'fp32.onnx', Path(folder) / 'int8.onnx'
        export_graph(contract, size, fp32)
        difference = compare_with_torch(contract, fp32, pictures[:8])
        kept = quantize_int8(fp32, int8, pictures, arguments.observer)
        results = {
            name: evaluate_sets(
                openvino_scorer(file), recipe, recipe.data.evaluate, spec.thresholds
            )
            for name, file in (('fp32', fp32), ('int8', int8))
        }
        flat = {name: figures(result) for name, result in results.items()}
        lost = {k: 100 * (v - flat['int8'].get(k, 0.0)) for k, v in flat['fp32'].items()}
        beyond = {k: v for k, v in lost.items() if v > arguments.limit}
        for key, value in flat['fp32'].items():
            print(f'{key:32s} fp32 {value:.4f}  int8 {flat["int8"][key]:.4f}')
        if beyond and not arguments.force:
            named = ', '.join(f'{k} loses {v:.2f} points' for k, v in beyond.items())
            raise ModelError(
                f'{arguments.out}: beyond the limit of {arguments.limit} points: {named}'
            )
        quantization = {
            'method': 'static PTQ, ONNX Runtime, QDQ, U8 activations, S8 weights per channel',
            'observer': arguments.observer,
            'calibration': {p.name: p.limit or 'all' for p in recipe.data.calibrate},
            'calibration_pictures': len(pictures),
            'convolutions': len(convolution_names(int8)),
            'kept_float': kept,
            'limit_points': arguments.limit,
            'passed': not beyond,
            'fp32_differs_from_torch_by': difference,
        }
        for file, precision, target in (
            (int8, 'int8', arguments.out),
            (fp32, 'fp32', fp32_twin(arguments.out)),
        ):
            if precision == 'fp32' and not arguments.keep_fp32:
                continue
            described = describe(spec, recipe, precision, flat, quantization, state)
            write_metadata(file, described)
            with write_atomic(target) as temporary:
                temporary.write_bytes(file.read_bytes())
            print(f'{target}: {target.stat().st_size / 2**20:.2f} MiB')
    if arguments.card:
        write_card(
            arguments.out.parent / 'README.md',
            Export(arguments.out, arguments.checkpoint, recipe, state, results, quantization),
        )


def fp32_twin(path: Path) -> Path:
    """Where the runtime looks for the float file beside an int8 one."""
    return path.with_name(path.stem.removesuffix('_int8') + '_fp32.onnx')


def main() -> int:
    """Exit status: 0 done, 1 error in one line."""
    try:
        run(parser().parse_args())
    except SegNodeError as error:
        print(f'quantize.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
