"""ament_python build of seg_node; extras and tool settings stand in pyproject.toml."""

import xml.etree.ElementTree as ET
from pathlib import Path

from setuptools import find_packages, setup

# The folders sim/ and training/ are installed under names that cannot collide with another
# package of a colcon workspace; the symbolic links seg_node_sim and seg_node_training name them.
PACKAGES = find_packages(
    include=[
        f'{name}{tail}'
        for name in ('seg_node', 'seg_node_sim', 'seg_node_training')
        for tail in ('', '.*')
    ]
)
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
    package_data={
        'seg_node': ['py.typed', 'class_maps/*.yaml', 'replay/*.html'],
        'seg_node_training': ['recipes/*.yaml', 'recipes/*/*.yaml', 'sweeps/*.yaml'],
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
