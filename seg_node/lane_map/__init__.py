"""Lane maps: points and poses in, voxels, clouds, pictures and polylines out. No ROS in here."""

from seg_node.lane_map.lane_map import Evidence, LaneMap, MapOptions, lane_point_array
from seg_node.lane_map.voxels import VoxelGrid

__all__ = ['Evidence', 'LaneMap', 'MapOptions', 'VoxelGrid', 'lane_point_array']
