"""Which cases the table has, and the files they run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seg_node.errors import SegNodeError, first_line
from seg_node.progress import track
from seg_node_training.benchmark_table.cases import DEFAULT, PEAK, Case, title
from seg_node_training.benchmark_table.nets import SHIPPED, Net, at_size, trained_net
from seg_node_training.benchmark_table.peers import PEERS, peer_net
from seg_node_training.config import parse_recipe
from seg_node_training.export.graph import Contract, export_graph
from seg_node_training.quantize.ptq import quantize_int8

SIZES = ((320, 192), (640, 352))
"""Other sizes of the default network."""
RECIPES = (
    'team1_narrow',
    'residual_unet',
    'mobilenetv3_small',
    'dropout_unet',
    'shared_bias_unet',
)
PREDECESSOR = 'team1_unet'
CAMERA = (1280, 720)

Way = tuple[str, str, str, dict[str, Any]]
"""Precision, runtime, kind of file, options of the runtime."""

BF16 = {'hint': 'bf16'}
DEFAULT_WAYS: tuple[Way, ...] = (
    ('fp32', 'openvino', 'fp32', {}),
    ('bf16', 'openvino', 'fp32', BF16),
    ('int8 NNCF IR', 'openvino', 'nncf', {}),
    ('int4 weights', 'openvino', 'int4', {}),
    ('fp32', 'onnxruntime', 'fp32', {}),
    ('int8', 'onnxruntime', 'int8', {}),
    ('fp16', 'onnxruntime', 'fp16', {}),
    ('int8 dynamic', 'onnxruntime', 'dynamic', {}),
    ('fp32', 'torch', '', {}),
    ('bf16', 'torch', '', {}),
    ('int8', 'torchscript', 'torch_int8', {}),
    ('fp32', 'litert', 'litert', {}),
    ('fp16', 'litert', 'litert_fp16', {}),
    ('int8 range', 'litert', 'litert_range', {}),
    ('int8', 'litert', 'litert_int8', {}),
    ('fp16 storage', 'ncnn', 'ncnn', {}),
)
PREDECESSOR_WAYS: tuple[Way, ...] = (
    ('int8', 'openvino', 'int8', {}),
    ('fp32', 'openvino', 'fp32', {}),
    ('bf16', 'openvino', 'fp32', BF16),
    ('int8 NNCF IR', 'openvino', 'nncf', {}),
    ('fp32', 'onnxruntime', 'fp32', {}),
    ('int8', 'onnxruntime', 'int8', {}),
    ('int8 dynamic', 'onnxruntime', 'dynamic', {}),
    ('fp32', 'torch', '', {}),
    ('int8', 'torchscript', 'torch_int8', {}),
)
RECIPE_WAYS: tuple[Way, ...] = (
    ('fp32', 'openvino', 'fp32', {}),
    ('bf16', 'openvino', 'fp32', BF16),
    ('int8', 'openvino', 'int8', {}),
    ('fp32', 'onnxruntime', 'fp32', {}),
    ('int8', 'onnxruntime', 'int8', {}),
)
PEER_WAYS: tuple[Way, ...] = (
    ('bf16', 'openvino', 'fp32', BF16),
    ('int8', 'openvino', 'int8', {}),
    ('fp32', 'onnxruntime', 'fp32', {}),
)


@dataclass(frozen=True)
class Missing:
    """A line that could not be made here, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Everything that is to be measured. `nets` are those that are scored, too."""

    cases: tuple[Case, ...]
    nets: tuple[Net, ...]
    missing: tuple[Missing, ...]


def _case(net: Net, way: Way, group: str) -> Case:
    precision, runtime, kind, options = way
    facts = {'parameters': net.parameters, 'kind': kind, 'note': net.note}
    settings = dict(options)
    if runtime == 'torch':
        part = net.recipe.model
        settings['build'] = {'name': part.name, 'outputs': net.recipe.outputs, **part.options}
        file = ''
    else:
        file = str(net.file(kind))
    name = title(net.name, precision, runtime, net.size)
    return Case(name, net.name, precision, runtime, net.size, file, group, settings, facts)


class Planner:
    """Collects cases; what cannot be made is remembered with its reason."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cases: list[Case] = []
        self.nets: list[Net] = []
        self.missing: list[Missing] = []

    def add(self, net: Net, ways: Sequence[Way], group: str) -> None:
        """The cases of a network, as far as its files can be made."""
        for way in ways:
            name = title(net.name, way[0], way[1], net.size)
            try:
                self.cases.append(_case(net, way, group))
            except SegNodeError as error:
                self.missing.append(Missing(name, first_line(error)))
            except Exception as error:  # a converter's own; the table goes on without the line
                lines = str(error).strip().splitlines() or ['']
                reason = f'{type(error).__name__}: {lines[0][:160]}'
                self.missing.append(Missing(name, reason))

    def camera(self, file: Path, inner: tuple[int, int], options: Way) -> None:
        """Camera picture to mask of its size, in one of the two pipelines."""
        precision, runtime, model, settings = options
        name = title(f'{model} camera to mask', precision, runtime, CAMERA)
        settings = settings | {'network': list(inner)}
        self.cases.append(
            Case(name, model, precision, runtime, CAMERA, str(file), 'camera', settings)
        )


class PeakNet(nn.Module):
    """3x3 convolutions of 256 channels, which an int8 engine runs as fast as it can run at all."""

    def __init__(self, depth: int = 6, channels: int = 256) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
                for _ in range(depth)
            )
        )
        self.head = nn.Conv2d(channels, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Float (N, 3, H, W) to (N, 2, H, W)."""
        logits: torch.Tensor = self.head(self.body(self.first(image)))
        return logits


def peak_case(root: Path) -> Case:
    """The case whose GOP/s stand for the machine's int8 peak."""
    recipe = parse_recipe({'name': 'peak', 'input': {'height': 64, 'width': 128}}, 'peak')
    folder = root / 'files' / 'peak'
    fp32, int8 = folder / 'fp32.onnx', folder / 'int8.onnx'
    if not int8.is_file():
        torch.manual_seed(0)
        export_graph(Contract(PeakNet().eval(), recipe, (128, 128)), (64, 128), fp32)
        picture = torch.randint(0, 256, (64, 128, 3), dtype=torch.uint8).numpy()
        quantize_int8(fp32, int8, [picture], 'minmax')
    return Case(PEAK, 'peak', 'int8', 'openvino', (128, 64), str(int8), 'peak')


def build_plan(root: Path, peers: bool = True, recipes: bool = True) -> Plan:
    """Make every file and list every case; what exists already is used again."""
    planner = Planner(root)
    for step in track(list(_steps(planner, peers, recipes)), 'files'):
        step()
    return Plan(tuple(planner.cases), tuple(planner.nets), tuple(planner.missing))


def _steps(planner: Planner, peers: bool, recipes: bool) -> Iterator[Any]:
    yield lambda: _default(planner)
    yield lambda: _predecessor(planner)
    if recipes:
        for name in RECIPES:
            yield lambda name=name: _recipe(planner, name)
    if peers:
        for name in PEERS:
            yield lambda name=name: planner.add(peer_net(name, planner.root), PEER_WAYS, 'peers')


def _default(planner: Planner) -> None:
    net = trained_net('light_unet', planner.root)
    net.folder.mkdir(parents=True, exist_ok=True)
    shipped = net.folder / 'int8.onnx'
    if not shipped.is_file() or shipped.read_bytes() != SHIPPED.read_bytes():
        shipped.write_bytes(SHIPPED.read_bytes())
    planner.nets.append(net)
    planner.cases.append(peak_case(planner.root))
    planner.add(net, [('int8', 'openvino', 'int8', {})], 'default')
    assert planner.cases[-1].name == DEFAULT, planner.cases[-1].name
    planner.add(net, DEFAULT_WAYS, 'default')
    for width, height in SIZES:
        other = at_size(net, width, height)
        planner.nets.append(other)
        planner.add(other, [('int8', 'openvino', 'int8', {})], 'default')
    for runtime in ('openvino', 'onnxruntime'):
        options = {'backend': runtime}
        planner.camera(shipped, net.size, (f'int8 {runtime}', 'camera', 'light_unet', options))


def _predecessor(planner: Planner) -> None:
    net = trained_net(PREDECESSOR, planner.root)
    planner.nets.append(net)
    planner.add(net, PREDECESSOR_WAYS, 'predecessor')
    planner.camera(
        net.file('torch_int8'), net.size, ('int8 torch', 'camera_torch', PREDECESSOR, {})
    )


def _recipe(planner: Planner, name: str) -> None:
    net = trained_net(name, planner.root)
    planner.nets.append(net)
    planner.add(net, RECIPE_WAYS, 'recipes')
