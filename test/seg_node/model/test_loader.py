"""From a path to a running model: both runtimes, files that cannot be used, options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_node.errors import ConfigError, ModelError
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions

BACKENDS = ('openvino', 'onnxruntime')
PICTURE = np.random.default_rng(5).integers(0, 256, (32, 64, 3), np.uint8)


def answers(path, picture=PICTURE, **options):
    runner = load_model(path, RunOptions(**options)).runner
    runner.input[...] = picture
    output = runner.run()
    return output.mask.copy(), output.scores.copy()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('threads', [1, 2])
def test_both_runtimes_give_the_known_answer(contract_model, backend, threads):
    mask, scores = answers(contract_model, backend=backend, threads=threads)
    green, red = PICTURE[..., 1], PICTURE[..., 2]
    np.testing.assert_array_equal(scores, [green, red])
    np.testing.assert_array_equal(mask, np.where(red >= 128, 2, np.where(green >= 128, 1, 0)))


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_runner_can_be_run_again_with_another_picture(contract_model, backend):
    runner = load_model(contract_model, RunOptions(backend=backend)).runner
    for value in (0, 200, 0):
        runner.input[...] = value
        assert (runner.run().mask == (2 if value else 0)).all()


def test_auto_takes_openvino_on_the_cpu(contract_model):
    loaded = load_model(contract_model)
    assert loaded.runner.backend == 'openvino'
    assert loaded.load_s > 0
    assert loaded.warmup_s > 0


@pytest.mark.parametrize(
    ('kind', 'name'), [('dynamic', 'dynamic'), ('u4', 'u4'), ('u8', 'uint8'), ('f32', 'float32')]
)
def test_an_element_type_that_numpy_has_not_keeps_openvinos_name(kind, name):
    """As of an output whose type follows from nothing: the contract then refuses it by name."""
    import openvino as ov

    from seg_node.model.openvino import _port

    parameter = ov.op.Parameter(getattr(ov.Type, kind), ov.PartialShape([1, 4, 4, 3]))
    assert _port(parameter.output(0)).dtype == name


@pytest.mark.parametrize('backend', BACKENDS)
def test_an_operator_whose_name_is_no_text_is_one_line(contract_model, tmp_path, backend):
    model = onnx.load(contract_model)
    first = model.graph.node[0].op_type
    model.graph.node[0].op_type = 'Q' * len(first)
    path = tmp_path / 'odd.onnx'
    spoiled = model.SerializeToString().replace(b'Q' * len(first), b'\xdc' * len(first))
    path.write_bytes(spoiled)
    with pytest.raises(ModelError) as caught:
        load_model(path, RunOptions(backend=backend))
    assert '\n' not in str(caught.value) and str(path) in str(caught.value)


def test_threads_are_what_was_asked_for(contract_model):
    for backend in BACKENDS:
        assert load_model(contract_model, RunOptions(backend, threads=1)).runner.threads == 1
    assert load_model(contract_model).runner.threads >= 1


@pytest.mark.parametrize('backend', BACKENDS)
class TestBadFiles:
    """Each is one line that names the file."""

    def refused(self, path, backend):
        with pytest.raises(ModelError) as caught:
            load_model(path, RunOptions(backend=backend))
        message = str(caught.value)
        assert str(path) in message
        assert '\n' not in message
        return message

    def test_missing(self, tmp_path, backend):
        assert 'no such' in self.refused(tmp_path / 'none.onnx', backend)

    def test_a_folder(self, tmp_path, backend):
        assert 'no such model file' in self.refused(tmp_path, backend)

    def test_another_kind_of_file(self, tmp_path, backend):
        path = tmp_path / 'unet_epoch075.pth'
        path.write_bytes(b'PK')
        assert 'expected an .onnx file, got .pth' in self.refused(path, backend)

    @pytest.mark.parametrize('content', [b'', b'hello, I am not a model', bytes(1000)])
    def test_not_onnx(self, tmp_path, backend, content):
        path = tmp_path / 'corrupt.onnx'
        path.write_bytes(content)
        self.refused(path, backend)

    @pytest.mark.parametrize('keep', [0.2, 0.6, 0.95])
    def test_truncated(self, tmp_path, backend, contract_model, keep):
        data = contract_model.read_bytes()
        path = tmp_path / 'truncated.onnx'
        path.write_bytes(data[: int(len(data) * keep)])
        self.refused(path, backend)

    def test_a_picture_that_fills_the_memory(self, tmp_path, backend, contract_model):
        model = onnx.load(contract_model)
        del model.graph.node[3:], model.graph.output[:]
        port = helper.make_tensor_value_info('nchw', TensorProto.UINT8, [1, 3, None, None])
        model.graph.output.append(port)
        for place in (1, 2):
            model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = 1 << 16
        path = tmp_path / 'huge.onnx'
        onnx.save(model, path)
        assert 'image: expected at most 64 megapixels' in self.refused(path, backend)

    def test_not_ours(self, tmp_path, backend):
        path = tmp_path / 'theirs.onnx'
        onnx.save(_identity('x', TensorProto.FLOAT, [1, 3, 8, 8]), path)
        assert 'give it a sidecar' in self.refused(path, backend)

    def test_ours_by_name_but_not_by_form(self, tmp_path, backend, contract_model):
        path = tmp_path / 'form.onnx'
        model = _identity('x', TensorProto.FLOAT, [1, 3, 8, 8])
        for item in onnx.load(contract_model).metadata_props:
            model.metadata_props.add(key=item.key, value=item.value)
        onnx.save(model, path)
        message = self.refused(path, backend)
        for words in ("expected 'image'", 'expected uint8 [1, H, W, 3]', 'mask: expected'):
            assert words in message


def test_ours_that_cannot_be_computed_is_refused_when_it_is_loaded(tmp_path, contract_model):
    model = onnx.load(contract_model)
    (channels,) = (t for t in model.graph.initializer if t.name == 'channels')
    channels.CopyFrom(numpy_helper.from_array(np.array([1, 33]), 'channels'))
    path = tmp_path / 'outside.onnx'
    onnx.save(model, path)
    with pytest.raises(ModelError, match='onnxruntime cannot run it: ') as caught:
        load_model(path, RunOptions(backend='onnxruntime'))
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def _identity(name, kind, shape):
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node('Identity', [name], ['y'])],
        'identity',
        [port(name, kind, shape)],
        [port('y', kind, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


def twins(make, folder, offset=0):
    """An int8 file and its float twin that can be told apart: other thresholds."""
    made = make(folder / 'm_int8.onnx', precision='int8')
    return made, make(folder / 'm_fp32.onnx', thresholds=(1, 1))


@pytest.mark.parametrize('precision', ['bf16', 'fp32'])
def test_float_precisions_need_the_float_twin(make_contract_model, tmp_path, precision):
    path = make_contract_model(tmp_path / 'm_int8.onnx', precision='int8')
    with pytest.raises(ConfigError, match=rf'precision {precision}.*m_fp32\.onnx'):
        load_model(path, RunOptions('openvino', precision))


def test_float_precisions_run_the_float_twin(make_contract_model, tmp_path):
    int8, _ = twins(make_contract_model, tmp_path)
    assert load_model(int8, RunOptions('openvino', 'int8')).runner.spec.thresholds == (128, 128)
    assert load_model(int8, RunOptions('openvino', 'fp32')).runner.spec.thresholds == (1, 1)


def test_precision_auto_compares_what_there_is(make_contract_model, tmp_path):
    int8, fp32 = twins(make_contract_model, tmp_path)
    loaded = load_model(int8, RunOptions('openvino', 'auto'))
    assert {c.precision: c.path for c in loaded.measured} == {'int8': int8, 'bf16': fp32}
    best = min(loaded.measured, key=lambda c: c.median_ms)
    assert loaded.runner.precision == best.precision
    fp32.unlink()
    assert [c.precision for c in load_model(int8, RunOptions('openvino', 'auto')).measured] == [
        'int8'
    ]


def test_onnxruntime_has_no_bf16(contract_model):
    with pytest.raises(ConfigError, match='bf16'):
        load_model(contract_model, RunOptions('onnxruntime', 'bf16'))
    loaded = load_model(contract_model, RunOptions('onnxruntime', 'auto'))
    assert len(loaded.measured) == 1


def test_a_device_that_is_not_there(contract_model):
    with pytest.raises(ConfigError, match='openvino: runs on the cpu'):
        load_model(contract_model, RunOptions('openvino', device='cuda'))
    with pytest.raises(ConfigError, match='TensorrtExecutionProvider'):
        load_model(contract_model, RunOptions('tensorrt'))


def test_the_compile_cache_is_written_once_and_read_again(contract_model, tmp_path):
    options = RunOptions('openvino', cache_dir=tmp_path / 'cache')
    first = answers(contract_model, backend='openvino', cache_dir=options.cache_dir)
    files = {p: p.stat().st_mtime_ns for p in options.cache_dir.iterdir()}
    assert files
    second = answers(contract_model, backend='openvino', cache_dir=options.cache_dir)
    assert {p: p.stat().st_mtime_ns for p in options.cache_dir.iterdir()} == files
    np.testing.assert_array_equal(first[0], second[0])


def test_a_cache_folder_that_cannot_be_used_is_said_and_left(contract_model, tmp_path, caplog):
    """The cache is an optimisation: without it a node starts too."""
    taken = tmp_path / 'taken'
    taken.write_text('a file')
    loaded = load_model(contract_model, RunOptions('openvino', cache_dir=taken / 'below'))
    assert loaded.runner.run().mask.any() in (True, False)
    assert len(caplog.messages) == 1
    assert 'compile cache not used' in caplog.text and 'cannot be written' in caplog.text


@pytest.mark.parametrize('damage', ['flip', 'zero page', 'cut', 'empty', 'other'])
def test_a_damaged_blob_is_compiled_anew_and_healed(contract_model, tmp_path, damage, caplog):
    cache = tmp_path / 'cache'
    right = answers(contract_model, backend='openvino', cache_dir=cache)
    (blob,) = cache.glob('*.blob')
    whole = blob.read_bytes()
    data = bytearray(whole)
    if damage == 'flip':
        data[len(data) // 2] ^= 1
    elif damage == 'zero page':
        at = len(data) // 3
        data[at : at + 4096] = bytes(min(4096, len(data) - at))
    blob.write_bytes({'cut': data[:-9], 'empty': b'', 'other': b'a blob'}.get(damage, data))
    found = answers(contract_model, backend='openvino', cache_dir=cache)
    for one, other in zip(right, found):
        np.testing.assert_array_equal(one, other)
    assert 'damaged' in caplog.text
    assert blob.read_bytes().startswith(whole[:16])  # healed: see below
    caplog.clear()
    answers(contract_model, backend='openvino', cache_dir=cache)
    assert not caplog.text


def test_a_blob_cut_while_it_is_in_use_ends_nothing(contract_model, tmp_path):
    cache = tmp_path / 'cache'
    load_model(contract_model, RunOptions('openvino', cache_dir=cache))
    runner = load_model(contract_model, RunOptions('openvino', cache_dir=cache)).runner
    before = runner.run().mask.copy()
    (blob,) = cache.glob('*.blob')
    os.truncate(blob, 10)
    np.testing.assert_array_equal(runner.run().mask, before)
    assert str(blob) not in Path('/proc/self/maps').read_text()


def test_a_cache_of_another_user_is_not_trusted(contract_model, tmp_path, monkeypatch, caplog):
    """Anybody may make predictable folders under a shared directory, and plant files there."""
    cache = tmp_path / 'cache'
    load_model(contract_model, RunOptions('openvino', cache_dir=cache))
    assert cache.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, 'geteuid', lambda: cache.stat().st_uid + 1)
    load_model(contract_model, RunOptions('openvino', cache_dir=cache))
    assert 'belongs to another user' in caplog.text


def test_a_runtime_that_is_not_installed_is_named(contract_model):
    """In a process of its own, where the import fails as it does without the package."""
    program = (
        'import sys; sys.modules["openvino"] = None; sys.modules["onnxruntime"] = None\n'
        'from seg_node.errors import ConfigError\n'
        'from seg_node.model.loader import load_model\n'
        'from seg_node.model.runner import RunOptions\n'
        'for backend in ("openvino", "onnxruntime", "auto"):\n'
        '    try: load_model(sys.argv[1], RunOptions(backend))\n'
        '    except ConfigError as error: print(error)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program, str(contract_model)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith('backend openvino: not installed')
    for line in lines[1:]:
        assert line.startswith('runtime: neither openvino nor onnxruntime is installed: ')
        assert 'install' in line.rpartition(': ')[2] or 'make' in line.rpartition(': ')[2]
    assert len(lines) == 3


def test_loading_ours_needs_neither_onnx_nor_pydantic_nor_torch(contract_model, tmp_path):
    shutil.copy(contract_model, tmp_path / 'm.onnx')
    program = (
        'import sys\n'
        'from seg_node.model.loader import load_model\n'
        'load_model(sys.argv[1])\n'
        'print({"onnx", "pydantic", "torch", "rclpy", "onnxruntime"} & set(sys.modules))\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program, str(tmp_path / 'm.onnx')],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == 'set()'
