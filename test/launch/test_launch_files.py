"""The launch files as text: what they declare, checked also where `launch` is not installed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from seg_node.rgbd import MODES
from seg_node.rtabmap.parameters import MODES as RTABMAP_MODES

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCHING = REPOSITORY / 'seg_node' / 'launching' / 'arguments.py'
NAMES = ('camera', 'carla', 'replay', 'rtabmap')
FILES = tuple(REPOSITORY / 'launch' / f'{name}.launch.py' for name in NAMES)
COMMON = {
    'namespace', 'use_sim_time', 'params_file', 'autostart', 'respawn', 'use_respawn', 'log_level',
    'model', 'backend', 'precision', 'image_topic', 'camera_info_topic',
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


def test_modes_are_those_of_the_code() -> None:
    assert {'off', *RTABMAP_MODES} - {'raw'} == set(MODES)


def test_no_argument_is_declared_twice() -> None:
    shared = set(_declared(LAUNCHING))
    for path in FILES:
        assert not shared & set(_declared(path)), path.name


def test_only_launching_imports_launch() -> None:
    for path in (REPOSITORY / 'seg_node').rglob('*.py'):
        if LAUNCHING.parent in path.parents:
            continue
        for node in ast.walk(_tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split('.')[0] for name in names} & {'launch', 'launch_ros'}, path


SHOWN = ('play', 'carla_source')
"""Nodes whose blocks are comments, for a user to take out of them."""


@pytest.mark.parametrize('node', ('seg_node', 'lane_map', *SHOWN))
def test_ros_reads_the_parameter_file_in_any_namespace(node: str, tmp_path: Path) -> None:
    rclpy = pytest.importorskip('rclpy')
    from seg_node.ros.parameter_docs import tables

    path = REPOSITORY / 'config' / 'seg_node.yaml'
    if node in SHOWN:
        shown = path.read_text(encoding='utf-8').partition(f'# /**/{node}:\n')
        block = [f'/**/{node}:', *(line[2:] for line in shown[2].splitlines() if line != '#')]
        ends = [i for i, line in enumerate(block) if i and line.startswith('/**')]
        path = tmp_path / 'mine.yaml'
        path.write_text('\n'.join(block[: ends[0] if ends else None]), encoding='utf-8')
    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '--params-file', str(path)], context=context)
    try:
        created = rclpy.create_node(
            node,
            namespace='/front/left',
            context=context,
            automatically_declare_parameters_from_overrides=True,
        )
        items = tables()[node] + (tables()['mapping'] if node == 'seg_node' else ())
        for item in items:
            if item.default != [] and (node != 'seg_node' or not item.read_only):
                assert created.get_parameter(item.name).value == item.default, item.name
        created.destroy_node()
    finally:
        rclpy.shutdown(context=context)
