"""Somebody else's ONNX with a sidecar, against numpy: every head, layout and runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from seg_node.errors import ModelError
from seg_node.frames import Frame
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.sidecar import read_sidecar
from seg_node.pipeline import Segmenter

BACKENDS = ('openvino', 'onnxruntime')
HEIGHT, WIDTH = 12, 20
RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BEHIND = {'class_ids': 'ArgMax', 'probabilities': 'Softmax'}


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


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('opset', [11, 13, 18])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_softmax_logits(tmp_path, backend, layout, opset):
    path = save_net(tmp_path / 'net.onnx', 4, layout, opset)
    save_sidecar(path, 4, layout=layout)
    mask, scores, runner = run(path, tmp_path / 'cache', backend)
    expected = softmax(logits(4))
    assert_mask(mask, expected, expected.argmax(0))
    assert np.abs(scores - expected[1:] * 255).max() <= 0.51
    assert runner.spec.classes.names == ('c0', 'c1', 'c2', 'c3')
    assert (runner.network.width, runner.network.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('opset', [11, 17, 18])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_sigmoid_logits_with_thresholds(tmp_path, backend, layout, opset):
    path = save_net(tmp_path / 'net.onnx', 2, layout, opset)
    save_sidecar(path, 3, layout=layout, head='sigmoid', thresholds=[60, 200])
    mask, scores, _ = run(path, tmp_path / 'cache', backend)
    p = 1 / (1 + np.exp(-logits(2)))
    assert np.abs(scores - p * 255).max() <= 0.51
    expected = np.where(scores[1] >= 200, 2, np.where(scores[0] >= 60, 1, 0))
    np.testing.assert_array_equal(mask, expected)
    assert set(np.unique(mask)) == {0, 1, 2}


@pytest.mark.parametrize('backend', BACKENDS)
def test_probabilities_are_not_put_through_softmax_again(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3, head='probabilities')
    save_sidecar(path, 3, head='probabilities')
    _, scores, _ = run(path, tmp_path / 'cache', backend)
    assert np.abs(scores - softmax(logits(3))[1:] * 255).max() <= 0.51


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_class_ids(tmp_path, backend, layout):
    path = save_net(tmp_path / 'net.onnx', 5, layout, head='class_ids')
    save_sidecar(path, 5, head='class_ids', layout=layout)
    mask, scores, _ = run(path, tmp_path / 'cache', backend)
    assert scores is None
    assert_mask(mask, logits(5), logits(5).argmax(0))


@pytest.mark.parametrize('backend', BACKENDS)
def test_many_classes_give_a_mask_alone(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 100)
    save_sidecar(path, 100)
    mask, scores, runner = run(path, tmp_path / 'cache', backend)
    assert scores is None
    assert_mask(mask, logits(100), logits(100).argmax(0))
    assert Segmenter(runner)(Frame(RGB, 'rgb')).confidence() is None


@pytest.mark.parametrize('backend', BACKENDS)
def test_an_open_size_is_fixed_by_the_sidecar(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3, size=None)
    save_sidecar(path, 3, input_size=[WIDTH, HEIGHT])
    mask, _, runner = run(path, tmp_path / 'cache', backend)
    assert (runner.network.width, runner.network.height) == (WIDTH, HEIGHT)
    assert_mask(mask, logits(3), logits(3).argmax(0))


@pytest.mark.parametrize('backend', BACKENDS)
def test_half_precision_networks(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3, kind=TensorProto.FLOAT16)
    save_sidecar(path, 3)
    _, scores, _ = run(path, tmp_path / 'cache', backend)
    assert np.abs(scores - softmax(logits(3))[1:] * 255).max() <= 2


@pytest.mark.parametrize('backend', BACKENDS)
def test_camera_pictures_reach_the_network_in_its_channel_order(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 3, colour_order='rgb')
    runner = load_model(path, RunOptions(backend, cache_dir=tmp_path)).runner
    expected = softmax(logits(3))[1:] * 255
    for frame in (Frame(RGB, 'rgb'), Frame(RGB[..., ::-1].copy(), 'bgr')):
        result = Segmenter(runner)(frame)
        assert np.abs(np.stack(result.planes) - expected).max() <= 0.51


def test_one_of_several_outputs_is_chosen_by_name(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3, extra_output=True)
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='output: expected one of y, aux, got None'):
        load_model(path, RunOptions(cache_dir=tmp_path))
    save_sidecar(path, 3, output='y')
    mask, _, _ = run(path, tmp_path, 'openvino')
    assert_mask(mask, logits(3), logits(3).argmax(0))


def test_the_wrapped_file_is_made_once_and_again_when_something_changes(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    cache = tmp_path / 'cache'

    def wrapped_files():
        load_model(path, RunOptions(cache_dir=cache))
        return {p: p.stat().st_mtime_ns for p in cache.glob('*.onnx')}

    save_sidecar(path, 3)
    first = wrapped_files()
    assert len(first) == 1
    assert wrapped_files() == first
    save_sidecar(path, 3, colour_order='bgr')
    assert len(wrapped_files()) == 2


def test_every_mistake_of_a_sidecar_is_listed_at_once(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(
        path,
        3,
        head='argmin',
        layout='chw',
        std=[0.1, 0.0, 0.1],
        mean=[0.5],
        sizes=[1, 2],
        licence=None,
    )
    with pytest.raises(ModelError) as caught:
        load_model(path, RunOptions(cache_dir=tmp_path))
    message = str(caught.value)
    for words in ('net.onnx.yaml', 'head', 'layout', 'std', 'mean', 'sizes', 'licence'):
        assert words in message
    assert '\n' not in message


def test_every_disagreement_of_file_and_sidecar_is_listed_at_once(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 4, input_size=[64, 64])
    with pytest.raises(ModelError) as caught:
        load_model(path, RunOptions(cache_dir=tmp_path))
    for words in ('3 channels', '4 classes', 'expected 20x12 as in the file, got 64x64'):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'thresholds': [128]}, 'thresholds belong to head sigmoid'),
        ({'head': 'sigmoid', 'thresholds': [128]}, 'expected 2, one a foreground class, got 1'),
        ({'input_size': [0, 5]}, 'input_size'),
        ({'classes': [{'name': '', 'colour': [0, 0, 300]}]}, 'classes'),
        ({'classes': [{'name': 'a', 'colour': [0, 0, 300]}] * 2}, r'classes\.1\.colour\.2'),
    ],
)
def test_sidecar_fields_that_do_not_fit_each_other(tmp_path, change, words):
    with pytest.raises(ModelError, match=words):
        read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **change))


@pytest.mark.parametrize('text', ['', '- a', 'a: [', '\xff\xfe'])
def test_a_sidecar_that_is_no_mapping(tmp_path, text):
    path = save_net(tmp_path / 'net.onnx', 3)
    (tmp_path / 'net.onnx.yaml').write_bytes(text.encode('latin-1'))
    with pytest.raises(ModelError, match=r'net\.onnx\.yaml'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_the_file_leaves_its_size_open_and_so_does_the_sidecar(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3, size=None)
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='input_size: the file leaves it open'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_a_graph_without_an_input(tmp_path):
    value = numpy_helper.from_array(np.zeros((1, 3, 4, 4), np.float32), 'value')
    graph = helper.make_graph(
        [helper.make_node('Identity', ['value'], ['y'])],
        'net',
        [],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 3, 4, 4])],
        [value],
    )
    path = tmp_path / 'net.onnx'
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)]), path)
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='inputs: expected one, got'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_a_broken_file_with_a_good_sidecar(tmp_path):
    path = tmp_path / 'net.onnx'
    path.write_bytes(b'not a model')
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='not a readable ONNX file'):
        load_model(path, RunOptions(cache_dir=tmp_path))
