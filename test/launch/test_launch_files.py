"""The launch files as text: what they declare, checked also where `launch` is not installed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from seg_node.model.runner import BACKENDS, PRECISIONS
from seg_node.rgbd import MODES

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCHING = REPOSITORY / 'seg_node' / 'launching.py'
NAMES = ('camera', 'carla', 'replay', 'rtabmap')
FILES = tuple(REPOSITORY / 'launch' / f'{name}.launch.py' for name in NAMES)
COMMON = {
    'namespace', 'use_sim_time', 'params_file', 'autostart', 'respawn', 'log_level', 'model',
    'backend', 'precision', 'image_topic', 'camera_info_topic',
}  # fmt: skip


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'), str(path))


def _declared(path: Path) -> dict[str, dict[str, ast.expr]]:
    """Keyword arguments of every DeclareLaunchArgument, by the argument's name."""
    return {
        ast.literal_eval(call.args[0]): {word.arg: word.value for word in call.keywords}
        for call in ast.walk(_tree(path))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == 'DeclareLaunchArgument'
    }


def _constant(path: Path, name: str) -> tuple[str, ...]:
    for statement in _tree(path).body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], 'id', '') == name:
            return ast.literal_eval(statement.value)
    raise AssertionError(f'{path.name}: no {name}')


@pytest.mark.parametrize('path', FILES, ids=NAMES)
def test_compiles_and_has_its_entry(path: Path) -> None:
    compile(path.read_text(encoding='utf-8'), str(path), 'exec')
    functions = [item.name for item in _tree(path).body if isinstance(item, ast.FunctionDef)]
    assert 'generate_launch_description' in functions


@pytest.mark.parametrize('path', (*FILES, LAUNCHING), ids=(*NAMES, 'launching'))
def test_every_argument_is_described(path: Path) -> None:
    for name, words in _declared(path).items():
        described = words.get('description')
        assert described is not None, name
        pieces = [node.value for node in ast.walk(described) if isinstance(node, ast.Constant)]
        assert ''.join(map(str, pieces)).strip().endswith('.'), name


@pytest.mark.parametrize('path', (*FILES, LAUNCHING), ids=(*NAMES, 'launching'))
def test_closed_sets_have_choices(path: Path) -> None:
    for name, words in _declared(path).items():
        default = words.get('default_value')
        switch = isinstance(default, ast.Constant) and default.value in ('true', 'false')
        closed = name in ('use_sim_time', 'log_level', 'backend', 'precision', 'image_transport')
        if switch or closed or name in ('server', 'player', 'mode', 'rviz', 'lane_map'):
            assert 'choices' in words, name


def test_the_vocabulary_is_nav2s() -> None:
    assert set(_declared(LAUNCHING)) >= COMMON


def test_choices_are_those_of_the_code() -> None:
    assert _constant(LAUNCHING, 'BACKENDS') == ('', *BACKENDS)
    assert _constant(LAUNCHING, 'PRECISIONS') == ('', *PRECISIONS)
    rtabmap = REPOSITORY / 'launch' / 'rtabmap.launch.py'
    assert {'off', *_constant(rtabmap, 'MODES')} == set(MODES)


def test_no_argument_is_declared_twice() -> None:
    shared = set(_declared(LAUNCHING))
    for path in FILES:
        assert not shared & set(_declared(path)), path.name


def test_only_launching_imports_launch() -> None:
    for path in (REPOSITORY / 'seg_node').rglob('*.py'):
        if path == LAUNCHING:
            continue
        for node in ast.walk(_tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split('.')[0] for name in names} & {'launch', 'launch_ros'}, path


def test_the_parameter_file_is_what_the_nodes_declare() -> None:
    pytest.importorskip('rclpy')
    from parameter_file import declared_parameters, render

    text = (REPOSITORY / 'config' / 'seg_node.yaml').read_text(encoding='utf-8')
    assert text == render(declared_parameters()), (
        'run python test/launch/parameter_file.py > config/seg_node.yaml'
    )
    assert yaml.safe_load(text)['/**/seg_node']['ros__parameters']['overlay_alpha'] == 0.5


@pytest.mark.parametrize('node', ('seg_node', 'lane_map'))
def test_ros_reads_the_parameter_file_in_any_namespace(node: str) -> None:
    rclpy = pytest.importorskip('rclpy')
    from parameter_file import declared_parameters

    path = REPOSITORY / 'config' / 'seg_node.yaml'
    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '--params-file', str(path)], context=context)
    try:
        made = rclpy.create_node(
            node,
            namespace='/front/left',
            context=context,
            automatically_declare_parameters_from_overrides=True,
        )
        for item in declared_parameters()[node]:
            if item.default != []:
                assert made.get_parameter(item.name).value == item.default, item.name
        made.destroy_node()
    finally:
        rclpy.shutdown(context=context)
