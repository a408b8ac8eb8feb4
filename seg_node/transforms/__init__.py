"""Where things are: rigid poses, odometry between its messages, frame trees (REP-103, REP-105)."""

from seg_node.transforms.frame_tree import FrameTree
from seg_node.transforms.pose_queue import Placed, PoseQueue
from seg_node.transforms.poses import MotionLimits, OdometryTrack, Pose, optical_mount

__all__ = [
    'FrameTree',
    'MotionLimits',
    'OdometryTrack',
    'Placed',
    'Pose',
    'PoseQueue',
    'optical_mount',
]
