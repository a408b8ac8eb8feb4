"""The networks of the table and their files, each made once and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from seg_node.files import write_json
from seg_node_training.benchmark_table.quiet import quiet
from seg_node_training.benchmark_table.small_runs import checkpoint_of
from seg_node_training.config import REPOSITORY, Recipe, SetPart
from seg_node_training.evaluate.network import spec_of
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.export.graph import Contract, export_graph, fuse_batch_norms, write_metadata
from seg_node_training.export.specs import describe
from seg_node_training.models import count_parameters
from seg_node_training.quantize.cli import calibration_pictures
from seg_node_training.quantize.formats import FORMATS
from seg_node_training.quantize.gate import LIMIT_POINTS, lost_points
from seg_node_training.quantize.litert import quantize_litert, to_litert
from seg_node_training.quantize.ptq import quantize_int8
from seg_node_training.quantize.qat import QatPlan, fine_tune
from seg_node_training.train.checkpoint import load_model

U8 = npt.NDArray[np.uint8]
SHIPPED = REPOSITORY / 'models' / 'lane_light_unet_int8.onnx'
CALIBRATION = 40
"""Pictures that the files of the table are calibrated with; the shipped file has its own set."""
PICTURES_A_SET = 60
QAT_STEPS = 40


def few(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of `items`, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def digest_of(path: Path) -> str:
    """Short hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@dataclass
class Net:
    """One network at one size. `folder` holds its files; `state` is the checkpoint's, or {}.

    `evaluated`: whether its weights have seen data, so that an IoU means something.
    """

    name: str
    network: nn.Module
    recipe: Recipe
    folder: Path
    state: dict[str, Any] = field(default_factory=dict)
    evaluated: bool = True
    note: str = ''

    @property
    def size(self) -> tuple[int, int]:
        """Width, height of the picture that the network sees."""
        return self.recipe.input.width, self.recipe.input.height

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return count_parameters(self.network)

    @cached_property
    def parts(self) -> tuple[SetPart, ...]:
        """The sets it is scored on."""
        return tuple(
            p.model_copy(update={'limit': min(p.limit or PICTURES_A_SET, PICTURES_A_SET)})
            for p in self.recipe.data.evaluate
        )

    @cached_property
    def pictures(self) -> list[U8]:
        """Calibration pictures, uint8 (H, W, 3) of the network's size."""
        if not self.evaluated:
            shape = (4, *self.size[::-1], 3)
            return list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        return few(calibration_pictures(self.recipe), CALIBRATION)

    def file(self, kind: str) -> Path:
        """The file of `kind` (a key of `MAKERS`), made on first use."""
        maker, suffix = MAKERS[kind]
        path = self.folder / f'{kind}{suffix}'
        done = path.with_name(path.name + '.done') if suffix == '' else path
        if not done.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings(), quiet() if kind in NOISY else nullcontext():
                warnings.simplefilter('ignore')
                maker(self, path)
            if suffix == '':
                done.touch()
        return path

    def notes(self) -> dict[str, Any]:
        """How the int8 file was made, where it was made here."""
        path = self.folder / 'int8.json'
        return json.loads(path.read_text()) if path.is_file() else {}


def trained_net(name: str, root: Path) -> Net:
    """A recipe's network with the weights of its full or of its small run."""
    checkpoint = checkpoint_of(name, root)
    network, recipe, state = load_model(checkpoint, 'ema' if name == 'light_unet' else 'model')
    folder = root / 'files' / f'{name}-{digest_of(checkpoint)}'
    small = root in checkpoint.parents
    note = f'trained {state["step"]} steps of {recipe.loop.batch_size}' if small else ''
    return Net(name, network, recipe, folder, state, note=note)


def at_size(net: Net, width: int, height: int) -> Net:
    """The same weights for pictures of another size."""
    part = net.recipe.input.model_copy(update={'width': width, 'height': height})
    recipe = net.recipe.model_copy(update={'input': part})
    folder = net.folder.with_name(f'{net.folder.name}-{width}x{height}')
    return Net(net.name, net.network, recipe, folder, net.state, note=net.note)


def _contract(net: Net, path: Path, network: nn.Module | None = None) -> None:
    spec = spec_of(net.recipe)
    contract = Contract(network or net.network, net.recipe, spec.thresholds)
    export_graph(contract, net.size[::-1], path)
    if net.state:
        write_metadata(path, describe(spec, net.recipe, 'fp32', {}, {}, net.state))


def _int8(net: Net, path: Path) -> None:
    """The first of static min-max, static percentile and QAT that loses no more than the limit.

    Where none does, the one that loses least. A network without training data gets min-max.
    """
    source = net.file('fp32')
    if not net.evaluated:
        quantize_int8(source, path, net.pictures, 'minmax')
        return
    tried: dict[str, tuple[float, Path]] = {}
    for method in ('minmax', 'percentile', 'qat'):
        target, graph = path.with_name(f'try_{method}.onnx'), source
        if method == 'qat':
            graph = path.with_name('tuned_fp32.onnx')
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            plan = QatPlan(QAT_STEPS, 5e-5, min(4, net.recipe.loop.batch_size))
            _contract(net, graph, fine_tune(net.network, net.recipe, plan))
            torch.set_num_threads(threads)
        observer: Any = 'percentile' if method == 'percentile' else 'minmax'
        quantize_int8(graph, target, net.pictures, observer)
        scorers = {'fp32': openvino_scorer(source), 'int8': openvino_scorer(target)}
        by_precision = evaluate_together(
            scorers, net.recipe, net.parts, spec_of(net.recipe).thresholds
        )
        lost = lost_points(figures(by_precision['fp32']), figures(by_precision['int8']))
        tried[method] = (max(lost.values()), target)
        if tried[method][0] <= LIMIT_POINTS:
            break
    best = min(tried, key=lambda m: tried[m][0])
    write_json(
        path.with_suffix('.json'),
        {'method': best, 'lost_points': {m: round(v[0], 2) for m, v in tried.items()}},
    )
    if net.state:
        spec = describe(spec_of(net.recipe), net.recipe, 'int8', {}, {'method': best}, net.state)
        write_metadata(tried[best][1], spec)
    path.write_bytes(tried[best][1].read_bytes())


def _nncf(net: Net, path: Path) -> None:
    """NNCF's own post-training quantization of the fp32 graph, as OpenVINO IR."""
    import nncf
    import openvino as ov

    logging.getLogger('nncf').setLevel(logging.ERROR)
    model = ov.Core().read_model(net.file('fp32'))
    data = nncf.Dataset([picture[None] for picture in net.pictures])
    model = nncf.quantize(model, data, subset_size=len(net.pictures))
    ov.save_model(model, path, compress_to_fp16=False)


def _torch_int8(net: Net, path: Path) -> None:
    """PyTorch's static int8 (FX graph mode, x86 backend), traced to TorchScript."""
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    from seg_node_training.evaluate.network import normalise

    def tensor(picture: U8) -> torch.Tensor:
        return normalise(torch.from_numpy(picture).permute(2, 0, 1)[None], net.recipe.input)

    network = fuse_batch_norms(net.network)
    example = tensor(net.pictures[0]).contiguous()
    prepared = prepare_fx(network, get_default_qconfig_mapping('x86'), (example,))
    with torch.inference_mode():
        for picture in few(net.pictures, 12):
            prepared(tensor(picture).contiguous())
    with torch.no_grad():
        torch.jit.trace(convert_fx(prepared), example).save(str(path))


def _ncnn(net: Net, path: Path) -> None:
    """ncnn's pair of files by pnnx, weights stored as fp16 (its default)."""
    import pnnx

    width, height = net.size
    network = fuse_batch_norms(net.network)
    pnnx.export(network, str(path) + '.pt', (torch.rand(1, 3, height, width),))
    for suffix in ('param', 'bin'):
        Path(f'{path}.ncnn.{suffix}').replace(f'{path}.{suffix}')


def _from_fp32(kind: str) -> Callable[[Net, Path], None]:
    return lambda net, path: FORMATS[kind](net.file('fp32'), path)


def _litert(kind: str) -> Callable[[Net, Path], None]:
    if kind == 'fp32':
        return lambda net, path: to_litert(fuse_batch_norms(net.network), net.recipe, path)
    return lambda net, path: quantize_litert(net.file('litert'), path, kind, net.pictures)


MAKERS: dict[str, tuple[Callable[[Net, Path], None], str]] = {
    'fp32': (_contract, '.onnx'),
    'int8': (_int8, '.onnx'),
    'nncf': (_nncf, '.xml'),
    'dynamic': (_from_fp32('dynamic'), '.onnx'),
    'fp16': (_from_fp32('fp16'), '.onnx'),
    'bf16': (_from_fp32('bf16'), '.onnx'),
    'int4': (_from_fp32('int4'), '.onnx'),
    'torch_int8': (_torch_int8, '.pt'),
    'litert': (_litert('fp32'), '.tflite'),
    'litert_fp16': (_litert('fp16'), '.tflite'),
    'litert_range': (_litert('range'), '.tflite'),
    'litert_int8': (_litert('int8'), '.tflite'),
    'ncnn': (_ncnn, ''),
}
"""What can be made of a network: maker and suffix. ncnn's is a pair of files of one stem."""
NOISY = ('ncnn', 'litert', 'litert_fp16', 'litert_range', 'litert_int8', 'nncf')
"""Whose converters fill the terminal."""
