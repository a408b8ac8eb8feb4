"""Lane maps: points and poses in, voxels, clouds, pictures and polylines out. No ROS in here."""

from seg_node.lane_map.lane_map import LaneMap, MapOptions, View, lane_point_array
from seg_node.lane_map.poses import MotionLimits, OdometryTrack, Pose, optical_mount
from seg_node.lane_map.voxels import VoxelGrid

__all__ = [
    'LaneMap',
    'MapOptions',
    'MotionLimits',
    'OdometryTrack',
    'Pose',
    'View',
    'VoxelGrid',
    'lane_point_array',
    'optical_mount',
]
