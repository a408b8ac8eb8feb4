"""Somebody else's ONNX files with their sidecars, and what numpy says they answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions

BACKENDS = ('openvino', 'onnxruntime')
HEIGHT, WIDTH = 12, 20
RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BEHIND = {'class_ids': 'ArgMax', 'probabilities': 'Softmax', 'sigmoid_probabilities': 'Sigmoid'}


def weights(channels: int) -> np.ndarray:
    """float32 (C, 3): the network is one 1x1 convolution."""
    return np.random.default_rng(channels).normal(0, 1.5, (channels, 3)).astype(np.float32)


def save_net(
    path: Path,
    channels: int,
    layout: str = 'nchw',
    opset: int = 17,
    size: tuple[int, int] | None = (WIDTH, HEIGHT),
    head: str = 'softmax',
    kind: int = TensorProto.FLOAT,
    extra_output: bool = False,
) -> Path:
    """A plain exporter's file: input `x`, output `y`, names that also ours has inside."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    constants = [numpy_helper.from_array(weights(channels)[..., None, None].astype(dtype), 'w')]
    nodes = []
    source = 'x'
    if layout == 'nhwc':
        nodes.append(helper.make_node('Transpose', ['x'], ['image'], perm=[0, 3, 1, 2]))
        source = 'image'
    last = 'raw' if head in BEHIND else 'y'
    logits = 'mask' if layout == 'nhwc' else last
    nodes.append(helper.make_node('Conv', [source, 'w'], [logits], name='conv'))
    if layout == 'nhwc':
        nodes.append(helper.make_node('Transpose', [logits], [last], perm=[0, 2, 3, 1]))
    axis = 1 if layout == 'nchw' else 3
    if head == 'probabilities':
        nodes.append(helper.make_node('Softmax', ['raw'], ['y'], axis=axis))
    if head == 'sigmoid_probabilities':
        nodes.append(helper.make_node('Sigmoid', ['raw'], ['y']))
    if head == 'class_ids':
        nodes.append(helper.make_node('ArgMax', ['raw'], ['y'], axis=axis, keepdims=0))
    width, height = size or ('w', 'h')
    batch = 1 if size else 'n'
    shape = [batch, 3, height, width] if layout == 'nchw' else [batch, height, width, 3]
    out_shape = (
        [batch, channels, height, width] if layout == 'nchw' else [batch, height, width, channels]
    )
    out_kind = kind
    if head == 'class_ids':
        out_shape, out_kind = [batch, height, width], TensorProto.INT64
    outputs = [helper.make_tensor_value_info('y', out_kind, out_shape)]
    if extra_output:
        nodes.append(helper.make_node('Identity', ['x'], ['aux']))
        outputs.append(helper.make_tensor_value_info('aux', kind, shape))
    graph = helper.make_graph(
        nodes, 'net', [helper.make_tensor_value_info('x', kind, shape)], outputs, constants
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=7 if opset < 13 else 8
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def save_sidecar(path: Path, count: int, **values: object) -> Path:
    """The YAML beside `path`."""
    described = {
        'name': 'theirs',
        'classes': [{'name': f'c{i}', 'colour': [i, i, 255 - i]} for i in range(count)],
        'head': 'softmax',
        'mean': MEAN,
        'std': STD,
    }
    sidecar = path.with_name(path.name + '.yaml')
    sidecar.write_text(yaml.safe_dump(described | values))
    return sidecar


def logits(channels: int, rgb: np.ndarray = RGB) -> np.ndarray:
    """float64 (C, H, W): what the network says, by numpy."""
    scaled = (rgb / 255.0 - MEAN) / STD
    return np.einsum('kc,hwc->khw', weights(channels).astype(np.float64), scaled)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(0))
    return powers / powers.sum(0)


def run(path: Path, cache: Path, backend: str, rgb: np.ndarray = RGB):
    runner = load_model(path, RunOptions(backend, cache_dir=cache)).runner
    runner.input[...] = rgb
    output = runner.run()
    return output.mask.copy(), None if output.scores is None else output.scores.copy(), runner


def assert_mask(mask: np.ndarray, values: np.ndarray, expected: np.ndarray) -> None:
    """The same but where the two largest values lie within float rounding."""
    top = np.sort(values, 0)[-2:]
    sure = top[1] - top[0] > 1e-3
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(mask[sure], expected[sure])


def save_two_heads(path: Path, lane_scale: int = 1) -> Path:
    """As TwinLiteNet: drivable area and lane, logits of two channels each."""
    kinds = [TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH]]
    constants, nodes, outputs = [], [], []
    for name, seed in (('da', 2), ('ll', 3)):
        kernel = weights(seed)[:2, :, None, None]
        constants.append(numpy_helper.from_array(kernel, f'w_{name}'))
        nodes.append(helper.make_node('Conv', ['x', f'w_{name}'], [name]))
        shape = [1, 2, HEIGHT, WIDTH]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    if lane_scale > 1:
        nodes[1].output[0] = 'small'
        step = [lane_scale, lane_scale]
        nodes.append(
            helper.make_node('MaxPool', ['small'], ['ll'], kernel_shape=step, strides=step)
        )
        shape = [1, 2, HEIGHT // lane_scale, WIDTH // lane_scale]
        outputs[1] = helper.make_tensor_value_info('ll', TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes, 'net', [helper.make_tensor_value_info('x', *kinds)], outputs, constants
    )
    opset = [helper.make_opsetid('', 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


PARTS = [
    {'output': 'da', 'head': 'softmax', 'classes': ['c1']},
    {'output': 'll', 'head': 'softmax', 'classes': ['c2']},
]
