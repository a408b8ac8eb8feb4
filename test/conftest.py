"""What the tests share: small contract models, messages, and the optional shared data."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seg_node.classes import LANE
from seg_node.model.spec import ModelSpec
from seg_node.transport import use_shipped_profile
from seg_node.venv import use_venv

REPOSITORY = Path(__file__).resolve().parent.parent
# Fast DDS reads its profile once a process, when the first test starts rclpy.
use_shipped_profile()
# `colcon test` runs by the system's Python, as `ros2 run` does.
use_venv()
sys.path.insert(0, str(REPOSITORY / 'test'))
pytest.register_assert_rewrite('ros_graph')
try:
    from hypothesis import HealthCheck, settings
except ImportError:  # a workspace's Python has only what apt has
    pass
else:
    # Every core has work in `make test`: how long a case takes says nothing.
    settings.register_profile('busy', deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile('busy')

_EXTRAS = {
    'av', 'carla', 'colcon_core', 'distributed', 'hypothesis', 'lightning', 'matplotlib', 'mcap',
    'msgpack', 'nncf', 'numba', 'onnx', 'onnxruntime', 'openvino', 'psutil', 'pydantic', 'rclpy',
    'rich', 'rosbags', 'scipy', 'torch', 'torchvision', 'yaml',
}  # fmt: skip
"""What a distribution's Python may lack; a module of tests that needs it is skipped there."""


_FOLDERS = {
    'demo': ('rclpy', 'msgpack'),
    'ros': ('rclpy',),
    'ros_maps': ('rclpy',),
    'seg_node/bags': ('mcap', 'rosbags'),
    'seg_node/replay': ('rosbags',),
    'sim': ('carla', 'msgpack', 'numba'),
    'training': ('torch',),
}
"""What the conftest.py of a folder imports; before pytest 8 that one must not fail."""


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


collect_ignore = [folder for folder, names in _FOLDERS.items() if not all(map(_installed, names))]


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """A module of tests is skipped where one of our extras is not installed, or not fit.

    `colcon test` of a workspace has only what apt has. An import of anything else that fails is
    an error, as it should be. Where all extras are installed, as in CI, nothing is skipped.
    """
    report = (yield).get_result()
    if not report.failed or not isinstance(collector, pytest.Module):
        return
    cause = report.call.excinfo.value.__cause__
    if isinstance(cause, ImportError) and (cause.name or '').partition('.')[0] in _EXTRAS:
        report.outcome = 'skipped'
        report.longrepr = (str(collector.fspath), 0, f'Skipped: {cause}')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked `may_rerun(reason)` gets two more tries; a real fault fails three times."""
    for item in items:
        mark = item.get_closest_marker('may_rerun')
        if mark is not None:
            assert mark.args, f'{item.nodeid}: may_rerun needs its reason'
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of labelled photos and media; skips where it is not there."""
    path = REPOSITORY.parent / 'shared' / 'data'
    if not path.is_dir():
        pytest.skip('no shared data beside the repository')
    return path


def build_contract_model(path: Path, width: int = 64, height: int = 32, **spec: object) -> Path:
    """A contract model whose answer is known: road score = green, marking score = red.

    `spec` changes fields of its description.
    """
    onnx = pytest.importorskip('onnx')
    TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper
    description = {'name': 'green_red', 'classes': LANE, 'head': 'sigmoid', **spec}
    made = ModelSpec(**description)
    channels = np.array([1, 2] if made.colour_order == 'bgr' else [1, 0])
    thresholds = np.asarray(made.thresholds, np.float32).reshape(1, 2, 1, 1)
    node = helper.make_node
    nodes = [
        node('Transpose', ['image'], ['nchw'], perm=[0, 3, 1, 2]),
        node('Gather', ['nchw', 'channels'], ['scores'], axis=1),
        node('Cast', ['scores'], ['value'], to=TensorProto.FLOAT),
        node('GreaterOrEqual', ['value', 'thresholds'], ['reached']),
        node('Cast', ['reached'], ['flag'], to=TensorProto.FLOAT),
        node('Mul', ['flag', 'ids'], ['painted']),
        node('ReduceMax', ['painted'], ['top'], axes=[1], keepdims=0),
        node('Cast', ['top'], ['mask'], to=TensorProto.UINT8),
    ]
    constants = [
        numpy_helper.from_array(channels, 'channels'),
        numpy_helper.from_array(thresholds, 'thresholds'),
        numpy_helper.from_array(np.array([1, 2], np.float32).reshape(1, 2, 1, 1), 'ids'),
    ]
    graph = helper.make_graph(
        nodes,
        'green_red',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, height, width, 3])],
        [
            helper.make_tensor_value_info('mask', TensorProto.UINT8, [1, height, width]),
            helper.make_tensor_value_info('scores', TensorProto.UINT8, [1, 2, height, width]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, made.to_metadata())
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope='session')
def contract_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `build_contract_model`, 64x32."""
    return build_contract_model(tmp_path_factory.mktemp('model') / 'green_red.onnx')


@pytest.fixture
def make_contract_model():
    """The builder itself, for tests that need other sizes or descriptions."""
    return build_contract_model


def make_image(pixels: np.ndarray, encoding: str, step: int | None = None, big: bool = False):
    """An object of the shape of `sensor_msgs/Image` around an array (H, W[, C])."""
    row = int(np.prod(pixels.shape[1:])) * pixels.itemsize
    step = step or row
    padded = np.zeros((pixels.shape[0], step), np.uint8)
    padded[:, :row] = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], row)
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=step,
        data=padded.tobytes(),
    )


@pytest.fixture
def image_message():
    """The builder of Image-shaped messages."""
    return make_image
