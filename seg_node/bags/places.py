"""Where things are, as a bag says it: what is bolted together, and odometry."""

from __future__ import annotations

from seg_node.bags.bag import Bag
from seg_node.transforms import FrameTree, OdometryTrack, Pose

ODOMETRY_TYPE = 'nav_msgs/msg/Odometry'
STATIC_TOPIC = '/tf_static'


def static_frames(bag: Bag) -> FrameTree:
    """The links of `/tf_static`. Raises `ConfigError` for a transform that is none."""
    tree = FrameTree()
    for message in bag.messages([STATIC_TOPIC]):
        for item in bag.deserialize(message).transforms:
            pose = Pose.of_message(item.transform.translation, item.transform.rotation)
            tree.add(item.header.frame_id, item.child_frame_id, pose)
    return tree


def whole_odometry(bag: Bag, topic: str) -> tuple[OdometryTrack, str]:
    """All of an odometry topic and the frame that it moves; nothing and '' without a topic."""
    track, child = OdometryTrack(keep=1_000_000), ''
    for message in bag.messages([topic] if topic else []):
        odometry = bag.deserialize(message)
        child = odometry.child_frame_id
        pose = odometry.pose.pose
        track.add(message.stamp_ns, Pose.of_message(pose.position, pose.orientation))
    return track, child
