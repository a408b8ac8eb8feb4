"""ament_python build of seg_node; extras and tool settings stand in pyproject.toml."""

import xml.etree.ElementTree as ET
from pathlib import Path

from setuptools import find_packages, setup

# Each package is found under its own name: `sim/` and `training/` hold one each, called so that it
# cannot collide with another package of a colcon workspace.
ROOTS = {'seg_node': '.', 'seg_node_sim': 'sim', 'seg_node_training': 'training'}
PACKAGES = [
    package
    for name, root in ROOTS.items()
    for package in find_packages(root, include=[name, f'{name}.*'])
]
PACKAGE_DIR = {name: f'{root}/{name}' for name, root in ROOTS.items() if root != '.'}
SHARED = ('config', 'foxglove', 'launch', 'models', 'rviz')


def shared_files():
    """Files of the shared folders, under share/seg_node."""
    found = [
        ('share/ament_index/resource_index/packages', ['resource/seg_node']),
        ('share/seg_node', ['package.xml']),
    ]
    for folder in SHARED:
        files = [str(path) for path in sorted(Path(folder).glob('*')) if path.is_file()]
        if files:
            found.append((f'share/seg_node/{folder}', files))
    return found


setup(
    name='seg_node',
    version=ET.parse('package.xml').findtext('version'),
    python_requires='>=3.10',
    packages=PACKAGES,
    package_dir=PACKAGE_DIR,
    package_data={
        'seg_node': ['py.typed', 'class_maps/*.yaml', 'replay/*.html'],
        'seg_node_training': [
            'recipes/*.yaml',
            'recipes/*/*.yaml',
            'sweeps/*.yaml',
            'data/*.yaml',
        ],
    },
    data_files=shared_files(),
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'seg_node = seg_node.executables:seg_node',
            'play = seg_node.executables:play',
            'lane_map = seg_node.executables:lane_map',
            'carla_server = seg_node.executables:carla_server',
            'carla_source = seg_node.executables:carla_source',
        ],
    },
)
