"""The package as ROS and pip see it: manifest, entry points, data files, colcon."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    '.git', '.venv*', 'out', 'build', 'install', 'log', '__pycache__', '*.egg-info', '.*_cache'
)


@pytest.fixture(scope='module')
def clone(tmp_path_factory) -> Path:
    """The sources in a workspace of their own, `WORKSPACE/src/seg_node`."""
    target = tmp_path_factory.mktemp('workspace') / 'src' / 'seg_node'
    shutil.copytree(REPOSITORY, target, symlinks=True, ignore=NOT_SOURCE)
    return target


@pytest.fixture(scope='module')
def built(clone) -> Path:
    """What a plain install copies."""
    target = clone.parents[1] / 'lib'
    command = [sys.executable, 'setup.py', '-q', 'egg_info', 'build_py', '--build-lib', target]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_the_manifest_passes_catkin_pkg():
    from catkin_pkg.package import parse_package

    warnings: list[str] = []
    package = parse_package(str(REPOSITORY), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.package_format == 3
    assert package.name == 'seg_node'
    assert package.get_build_type() == 'ament_python'
    declared = {dependency.name for dependency in package.exec_depends}
    assert {'rclpy', 'sensor_msgs', 'vision_msgs', 'cv_bridge', 'lifecycle_msgs'} <= declared


def test_what_make_ros_setup_needs_of_apt_is_declared():
    """Debian and Ubuntu have Python's venv in a package of its own; reports need no matplotlib."""
    from catkin_pkg.package import parse_package

    declared = {dependency.name for dependency in parse_package(str(REPOSITORY)).exec_depends}
    assert 'python3-venv' in declared
    assert 'python3-matplotlib' not in declared


def test_every_ros_package_that_is_imported_is_declared():
    from catkin_pkg.package import parse_package

    package = parse_package(str(REPOSITORY))
    declared = {dependency.name for dependency in package.exec_depends}
    imported = set()
    for path in (REPOSITORY / 'seg_node').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                top = node.module.partition('.')[0]
                if top.endswith(('_msgs', '_srvs', '_interfaces')) or top in ('rclpy', 'tf2_ros'):
                    imported.add(top)
    assert 'rclpy' in imported
    assert imported - {'builtin_interfaces'} <= declared


def test_what_colcon_asks_of_setup_py_can_be_read(clone):
    """colcon evaluates the repr of the distribution's fields: only literals get through."""
    program = (
        'import sys\n'
        'from setuptools.dist import Distribution\n'
        'from distutils.core import run_setup\n'
        'dist = run_setup("setup.py", script_args=("--dry-run",), stop_after="config")\n'
        'skip = ("cmdclass", "distclass", "ext_modules", "metadata")\n'
        'data = {k: v for k, v in vars(dist).items() if not k.startswith("_")\n'
        '        and not callable(v) and k not in skip and k not in dist.display_option_names}\n'
        'data["metadata"] = {k: v for k, v in vars(dist.metadata).items()\n'
        '                    if k not in ("license_files", "provides_extras")}\n'
        'sys.stdout.buffer.write(repr(data).encode())\n'
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', program], cwd=clone, capture_output=True, check=True
    )
    assert ast.literal_eval(done.stdout.decode())['metadata']['name'] == 'seg_node'


def test_a_plain_install_has_every_file_of_the_packages(built):
    for folder, name in (
        ('.', 'seg_node'),
        ('sim', 'seg_node_sim'),
        ('training', 'seg_node_training'),
    ):
        source = REPOSITORY / folder / name
        wanted = {
            path.relative_to(source)
            for path in source.rglob('*')
            if path.is_file() and '__pycache__' not in path.parts and path.suffix != '.md'
        }
        there = {path.relative_to(built / name) for path in (built / name).rglob('*')}
        assert wanted
        assert sorted(map(str, wanted - there)) == []
    assert {path.name for path in built.iterdir()} == {
        'seg_node',
        'seg_node_sim',
        'seg_node_training',
    }


def test_no_symbolic_link_is_tracked():
    """A zip download and Windows have none."""
    listed = subprocess.run(
        ['git', 'ls-files', '-s'], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert [line for line in listed if line.startswith('120000')] == []


COMMANDS = ('train', 'inference', 'quantize', 'export', 'benchmark', 'sweep', 'adapt', 'label')


def test_the_commands_of_training_run_from_a_clone(clone):
    """From any folder, and with the clone's own packages rather than the installed ones.

    All in one process, since each would load torch.
    """
    program = (
        'import pathlib, runpy, sys\n'
        'for path in sys.argv[1:]:\n'
        '    sys.argv, sys.path[0] = [path, "--help"], str(pathlib.Path(path).parent)\n'
        '    try: runpy.run_path(path, run_name="__main__")\n'
        '    except SystemExit as end: print("status", end.code)\n'
        'print([sys.modules[n].__file__ for n in ("seg_node", "seg_node_training")])\n'
    )
    paths = [str(clone / 'training' / f'{command}.py') for command in COMMANDS]
    done = subprocess.run(
        [sys.executable, '-c', program, *paths],
        cwd=clone.parent,
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('status 0') == len(COMMANDS)
    for command in COMMANDS:
        assert f'usage: {command}.py' in done.stdout
    for root in ('seg_node', 'training/seg_node_training'):
        assert str(clone / root / '__init__.py') in done.stdout.splitlines()[-1]


def test_console_scripts_lead_to_functions(built, clone):
    entries = configparser.ConfigParser()
    entries.read(clone / 'seg_node.egg-info' / 'entry_points.txt')
    scripts = dict(entries['console_scripts'])
    assert scripts['seg_node'] == 'seg_node.executables:seg_node'
    assert 'play' in scripts
    for target in scripts.values():
        module, _, function = target.partition(':')
        source = importlib.util.find_spec(module).origin
        body = ast.parse(Path(source).read_text(encoding='utf-8')).body
        assert function in [n.name for n in body if isinstance(n, ast.FunctionDef)]


def test_shared_files_are_where_share_dir_looks():
    from seg_node.share import share_dir

    for name in ('config/fastdds.xml', 'config/seg_node.yaml', 'models/README.md'):
        assert (share_dir() / name).is_file()


def test_share_dir_of_a_workspace_and_of_none(tmp_path):
    """In a process whose seg_node lies elsewhere than its shared files."""
    package, share = tmp_path / 'lib' / 'seg_node', tmp_path / 'install' / 'share' / 'seg_node'
    package.mkdir(parents=True)
    for name in ('__init__.py', 'share.py', 'errors.py'):
        shutil.copy(REPOSITORY / 'seg_node' / name, package)
    for folder in ('config', 'models'):
        (share / folder).mkdir(parents=True)
    program = (
        'import sys; sys.path.insert(0, sys.argv[1])\n'
        'from seg_node.errors import ConfigError\n'
        'from seg_node.share import share_dir\n'
        'try: print(share_dir())\n'
        'except ConfigError as error: print(f"error: {error}")\n'
    )

    def ask(prefix: str) -> str:
        environment = os.environ | {'AMENT_PREFIX_PATH': f'/opt/none:{prefix}'}
        return subprocess.run(
            [sys.executable, '-S', '-c', program, str(tmp_path / 'lib')],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        ).stdout.strip()

    assert ask(str(tmp_path / 'install')) == str(share)
    assert ask('').startswith('error: installed files: expected config/ and models/ in one of')


@pytest.mark.skipif(
    shutil.which('colcon') is None and importlib.util.find_spec('colcon_ros') is None,
    reason='no colcon here',
)
@pytest.mark.parametrize('mode', [(), ('--symlink-install',)], ids=['copied', 'symlinked'])
def test_colcon_builds_it_for_ros2_run(clone, tmp_path, mode):
    workspace = clone.parents[1]
    program = shutil.which('colcon')
    command = [program] if program else [sys.executable, '-m', 'colcon']
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}

    def colcon(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=workspace, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert '(ros.ament_python)' in colcon('list')
    install = tmp_path / 'install'
    places = ('--build-base', str(tmp_path / 'build'), '--install-base', str(install))
    colcon('build', '--packages-select', 'seg_node', *places, *mode)
    installed = install / 'seg_node'
    for script in ('seg_node', 'play'):
        path = installed / 'lib' / 'seg_node' / script
        assert path.is_file()
        assert os.access(path, os.X_OK)
    for name in ('package.xml', 'config/fastdds.xml', 'models/README.md'):
        assert (installed / 'share' / 'seg_node' / name).is_file()
    index = installed / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'seg_node'
    assert index.is_file()
    # A symbolic link follows the clone, a copy stays.
    launch = installed / 'share' / 'seg_node' / 'launch' / 'camera.launch.py'
    assert (launch.resolve() == clone / 'launch' / 'camera.launch.py') is bool(mode)
