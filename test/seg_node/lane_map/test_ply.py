"""Clouds of other mappers: PLY as PCL writes it, ours, and broken ones."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node.classes import LANE
from seg_node.errors import InputError
from seg_node.lane_map import LaneMap
from seg_node.lane_map.export import write_ply
from seg_node.lane_map.ply import read_ply

XYZ = np.array([[0.5, -1.25, 0.0], [10.0, 2.0, 0.125], [3.0, 4.0, np.nan], [7.0, 8.0, 9.0]])
RGB = np.array([[157, 234, 50], [128, 64, 128], [157, 234, 50], [150, 200, 60]], np.uint8)
PCL = (
    'ply\nformat {order} 1.0\ncomment PCL generated\nelement vertex {count}\n'
    'property float x\nproperty float y\nproperty float z\n'
    'property uchar red\nproperty uchar green\nproperty uchar blue\n'
    'element camera 1\nproperty float view_px\nend_header\n'
)
"""The header of pcl::io::savePLYFile for PointXYZRGB."""


def pcl_cloud(order: str, count: int = 4) -> bytes:
    head = PCL.format(order=order, count=count).encode()
    if order == 'ascii':
        rows = [f'{x:g} {y:g} {z:g} {r} {g} {b}' for (x, y, z), (r, g, b) in zip(XYZ, RGB)]
        return head + ('\n'.join(rows) + '\n0 \n').encode()
    byte = '<' if 'little' in order else '>'
    body = np.zeros(4, [('xyz', f'{byte}f4', 3), ('rgb', 'u1', 3)])
    body['xyz'], body['rgb'] = XYZ, RGB
    return head + body.tobytes() + b'\0\0\0\0'


@pytest.mark.parametrize('order', ['ascii', 'binary_little_endian', 'binary_big_endian'])
def test_vertices_and_their_colours(tmp_path, order):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(pcl_cloud(order))
    cloud = read_ply(path)
    np.testing.assert_array_equal(cloud.xyz, XYZ[[0, 1, 3]])  # not the one without a height
    np.testing.assert_array_equal(cloud.rgb, RGB[[0, 1, 3]])


def test_a_colour_between_is_of_the_nearest_class(tmp_path):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(pcl_cloud('ascii'))
    cloud = read_ply(path)
    np.testing.assert_array_equal(cloud.of_classes((2,), LANE), XYZ[[0, 3]])
    np.testing.assert_array_equal(cloud.of_classes((1,), LANE), XYZ[[1]])


def test_our_own_cloud_is_read_back(tmp_path):
    points = np.zeros(3, LaneMap().points().dtype)
    points['x'], points['y'], points['class'] = [1, 2, 3], [4, 5, 6], [2, 1, 2]
    write_ply(tmp_path / 'map.ply', points, LANE)
    cloud = read_ply(tmp_path / 'map.ply')
    np.testing.assert_array_equal(cloud.xyz[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(cloud.of_classes((2,), LANE)[:, 1], [4, 6])


def test_an_empty_cloud(tmp_path):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(PCL.format(order='ascii', count=0).encode())
    assert read_ply(path).xyz.shape == (0, 3)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'its header does not end'),
        (b'solid stl\nend_header\n', 'first line is not "ply"'),
        (pcl_cloud('binary_little_endian')[:-30], 'expected 4 vertices, it ends after 2'),
        (pcl_cloud('binary_little_endian', 10**18), 'it ends after 4'),
        (pcl_cloud('ascii', 9).rpartition(b'0 ')[0], 'expected 9 vertices, it ends after 4'),
        (pcl_cloud('ascii').replace(b'blue', b'shade'), 'vertices without blue'),
        (pcl_cloud('ascii').replace(b'float z', b'list uchar int z'), 'property list uchar int z'),
        (pcl_cloud('ascii').replace(b'vertex 4', b'vertex four'), 'four'),
        (pcl_cloud('ascii').replace(b'0.5', b'half'), 'half'),
        (b'ply\nformat ascii 1.0\nelement face 2\nelement vertex 1\nend_header\n', 'face stands'),
        (b'ply\nformat ascii 1.0\nend_header\n', 'no vertices'),
        (bytes(range(256)) * 40, 'not a readable PLY file'),
    ],
)
def test_anything_else_is_one_line(tmp_path, content, words):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_ply(path)
    line = str(refused.value)
    assert words in line and line.startswith(str(path)) and '\n' not in line


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r'none\.ply: No such file'):
        read_ply(tmp_path / 'none.ply')
