"""Who may import whom: dependencies go one way, over all three packages.

`LAYERS` is the one table. A module or folder of a package may import what stands in a row below
its own, never its own row or one above; names joined by `+` are siblings that know each other.
"""

from __future__ import annotations

import ast
import functools
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
    'lifecycle_msgs', 'rcl_interfaces', 'vision_msgs', 'tf2_msgs', 'visualization_msgs',
    'rosgraph_msgs', 'builtin_interfaces', 'tf2_ros', 'message_filters',
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
            if node.module in ROOTS:  # `from seg_node import launching`: each name is a module
                yield from ((node.lineno, f'{node.module}.{name.name}') for name in node.names)
            else:
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


# From the ground up.
LAYERS = {
    'seg_node': (
        'errors class_names progress timing children tuning signal_stack mailbox venv finding '
        'stamps',
        'files share yaml_files prerequisites table joining opendrive rig_file child_answers '
        'topic_pattern',
        'classes transport executables ros_process rig_layouts scheduling',
        'class_map',
        'images label_check transforms metrics shared_memory',
        'camera',
        'model rgbd',
        'decide bags',
        'enlarge sources steadiness',
        'pipeline',
        'lane_map lane_lines replay rtabmap doctor',
        'view',
        'ros',
        'benchmark demo launching',
        'soak',
        '__init__',
        'cli',
        '__main__',
    ),
    'seg_node_sim': (
        'scene',
        'maps',
        'render',
        'client+server',
        'ros',
        'ros_source command endurance',
    ),
    'seg_node_training': (
        'command revision models',
        'config+data teach',
        'train+evaluate+export',
        'quantize+report+studies+benchmark_table',
        'adapt',
    ),
}
# What the two others may take of `seg_node`: everything up to this row, its nodes included or not.
HIGHEST = {'seg_node_sim': 'ros', 'seg_node_training': 'benchmark'}
ROOTS = {'seg_node': '.', 'seg_node_sim': 'sim', 'seg_node_training': 'training'}


@functools.cache
def ranks(package: str) -> dict[str, tuple[int, int]]:
    """Row and group of siblings of every unit of a package."""
    groups = ((row, group) for row, names in enumerate(LAYERS[package]) for group in names.split())
    return {
        unit: (row, number)
        for number, (row, group) in enumerate(groups)
        for unit in group.split('+')
    }


def arrows(package: str) -> Iterator[tuple[str, str, str, str]]:
    """Unit, package and unit that it imports (also inside functions), and the place."""
    root = REPOSITORY / ROOTS[package]
    for path in sorted((root / package).rglob('*.py')):
        unit = path.relative_to(root / package).parts[0].removesuffix('.py')
        for line, name in imports(path, True):
            target, _, rest = name.partition('.')
            if target in LAYERS:
                place = f'{path.relative_to(REPOSITORY)}:{line} imports {name}'
                imported = rest.partition('.')[0]
                # A public name of the package is the door's.
                yield unit, target, imported if imported in ranks(target) else '__init__', place


def test_every_unit_stands_in_the_table():
    for package, root in ROOTS.items():
        folder = REPOSITORY / root / package
        there = {p.name.removesuffix('.py') for p in folder.iterdir() if p.suffix == '.py'}
        there |= {p.parent.name for p in folder.glob('*/__init__.py')}
        listed = set(ranks(package))
        assert listed - there == set(), f'{package}: in the table, not in the tree'
        assert there - listed - {'__init__'} == set(), f'{package}: not in the table'


@pytest.mark.parametrize('package', sorted(LAYERS))
def test_nothing_imports_upwards(package):
    known = ranks(package)
    upwards = []
    for unit, target, imported, place in arrows(package):
        if target != package or unit == imported or unit == '__init__':
            continue
        (row, group), (other_row, other_group) = known[unit], known[imported]
        if other_row >= row and group != other_group:
            upwards.append(place)
    assert not upwards


@pytest.mark.parametrize('package', sorted(HIGHEST))
def test_simulator_and_training_stand_on_the_runtime_below_its_commands(package):
    known = ranks('seg_node')
    highest = known[HIGHEST[package]][0]
    bad = [
        place
        for unit, target, imported, place in arrows(package)
        if target == 'seg_node' and known[imported][0] > highest
    ]
    assert not bad


def test_the_runtime_does_not_know_training():
    assert not [a for a in arrows('seg_node') if a[1] == 'seg_node_training']


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
    may = {REPOSITORY / 'seg_node' / path for path in ('opendrive.py', 'ros/parameter_docs.py')}
    doors = ('cli', 'demo', 'soak')
    others = [path for path in RUNTIME if not in_folder(path, *doors) and path not in may]
    assert not offences(others, SIMULATOR, inside_functions=True)


def test_the_viewer_is_imported_by_the_view_alone():
    outside = [path for path in RUNTIME if not in_folder(path, 'view')]
    assert not offences(outside, {'rerun', 'rerun_cli'}, inside_functions=True)


def test_ros_is_imported_by_the_nodes_alone():
    outside = [path for path in RUNTIME if not in_folder(path, 'ros')]
    assert not offences(outside, ROS, inside_functions=True)


def test_what_needs_ros_is_loaded_by_those_who_use_it_only_when_they_do():
    inside = ('seg_node.ros.', 'seg_node.demo.', 'seg_node.soak.')
    found = [
        f'{path.relative_to(REPOSITORY)}:{line} imports {name}'
        for path in RUNTIME
        if not in_folder(path, 'ros', 'demo', 'soak')
        for line, name in imports(path, False)
        if f'{name}.'.startswith(inside)
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
