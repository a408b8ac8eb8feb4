"""Who may import whom: dependencies go one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUNTIME = sorted((REPOSITORY / 'seg_node').rglob('*.py'))
HEAVY = {
    'torch', 'torchvision', 'lightning', 'torchmetrics', 'segmentation_models_pytorch', 'timm',
    'nncf', 'carla', 'seg_node_training', 'training',
}  # fmt: skip
SIMULATOR = {'seg_node_sim', 'sim'}
ROS = {
    'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'diagnostic_msgs', 'nav_msgs', 'geometry_msgs',
    'lifecycle_msgs', 'rcl_interfaces', 'vision_msgs', 'tf2_msgs', 'rosgraph_msgs',
    'builtin_interfaces', 'tf2_ros', 'message_filters',
}  # fmt: skip


def imports(path: Path, inside_functions: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of every import that runs with the module, or of all of them."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if function and not inside_functions:
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test).endswith('TYPE_CHECKING'):
                continue
            yield child
            yield from walk(child)

    for node in walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def offences(paths: list[Path], forbidden: set[str], inside_functions: bool) -> list[str]:
    return [
        f'{path.relative_to(REPOSITORY)}:{line} imports {name}'
        for path in paths
        for line, name in imports(path, inside_functions)
        if name.partition('.')[0] in forbidden
    ]


def in_folder(path: Path, *names: str) -> bool:
    return any((REPOSITORY / 'seg_node' / name) in path.parents for name in names)


def test_the_walk_finds_what_is_there(tmp_path):
    path = tmp_path / 'm.py'
    path.write_text(
        'from __future__ import annotations\nimport torch.nn\n'
        'try:\n    from rclpy.node import Node\nexcept ImportError:\n    pass\n'
        'def f():\n    import carla\n'
    )
    assert [name for _, name in imports(path, False)] == ['__future__', 'torch.nn', 'rclpy.node']
    assert 'carla' in [name for _, name in imports(path, True)]


def test_the_runtime_never_imports_torch_carla_or_training():
    """Not even inside a function; what needs them is another package."""
    assert not offences(RUNTIME, HEAVY, inside_functions=True)


def test_the_simulator_is_reached_by_the_command_line_and_the_demo_alone_and_lazily():
    assert not offences(RUNTIME, SIMULATOR, inside_functions=False)
    others = [path for path in RUNTIME if not in_folder(path, 'cli', 'demo')]
    assert not offences(others, SIMULATOR, inside_functions=True)


def test_ros_is_imported_by_the_nodes_alone():
    outside = [path for path in RUNTIME if not in_folder(path, 'ros')]
    assert not offences(outside, ROS, inside_functions=True)


def test_what_needs_ros_is_loaded_by_those_who_use_it_only_when_they_do():
    inside = ('seg_node.ros', 'seg_node.demo')
    found = [
        f'{path.relative_to(REPOSITORY)}:{line} imports {name}'
        for path in RUNTIME
        if not in_folder(path, 'ros', 'demo')
        for line, name in imports(path, False)
        if name.startswith(inside) and name != 'seg_node.ros.dds'
    ]
    assert not found


@pytest.mark.parametrize(
    ('folder', 'forbidden'),
    [('sim', {'seg_node_training', 'training', 'torch'}), ('training', {'seg_node_sim', 'carla'})],
)
def test_simulator_and_training_do_not_know_each_other(folder, forbidden):
    paths = sorted((REPOSITORY / folder).rglob('*.py'))
    assert paths
    assert not offences(paths, forbidden, inside_functions=False)
