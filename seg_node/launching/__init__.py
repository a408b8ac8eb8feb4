"""What the launch files share: arguments (nav2's vocabulary), checks, environment, and nodes.

Only `launch/` imports this. The modules `launch` and `launch_ros` come with a ROS distribution.
"""

from __future__ import annotations

from seg_node.launching.arguments import (
    BOOLEANS,
    common_arguments,
    compressed,
    depth_arguments,
    description,
    flag,
    integer,
    number,
    path,
    settle_transport,
    text,
    use_arguments,
)
from seg_node.launching.checks import Check, model_check, refuse, require_package
from seg_node.launching.environment import transport_environment
from seg_node.launching.names import absolute, namespace, topic
from seg_node.launching.nodes import (
    ends_launch,
    life,
    node,
    plain_pictures,
    rgbd_topics,
    segmentation_node,
    users,
    when_subscribed,
)

__all__ = [
    'BOOLEANS',
    'Check',
    'absolute',
    'common_arguments',
    'compressed',
    'depth_arguments',
    'description',
    'ends_launch',
    'flag',
    'integer',
    'life',
    'model_check',
    'namespace',
    'node',
    'number',
    'path',
    'plain_pictures',
    'refuse',
    'require_package',
    'rgbd_topics',
    'segmentation_node',
    'settle_transport',
    'text',
    'topic',
    'transport_environment',
    'use_arguments',
    'users',
    'when_subscribed',
]
