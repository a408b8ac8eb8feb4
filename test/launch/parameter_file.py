"""The text of config/seg_node.yaml, made from the parameters that the nodes declare.

python test/launch/parameter_file.py > config/seg_node.yaml
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

HEADER = """\
# Parameters of the nodes seg_node and lane_map, each with its default. A changed copy goes to a
# launch file, or to a node:
#   ros2 launch seg_node camera.launch.py params_file:=mine.yaml
#   ros2 run seg_node seg_node --ros-args --params-file mine.yaml
# Launch arguments that are given win over this file. `/**/seg_node` is that node in any namespace;
# a block `/**/carla_source` is taken too. QoS by ROS's own names, for example
#   qos_overrides./camera/image_raw.subscription.reliability: reliable
"""
_WIDTH = 99


def render(nodes: Mapping[str, Iterable[Any]]) -> str:
    """The file for sequences of `Declared` by node name."""
    lines = [HEADER.rstrip('\n')]
    for node, parameters in nodes.items():
        lines += ['', f'/**/{node}:', '  ros__parameters:']
        for item in parameters:
            lines += _entry(item)
    return '\n'.join(lines) + '\n'


def _entry(item: Any) -> list[str]:
    notes = [item.description]
    if item.choices:
        notes.append(f'One of {", ".join(item.choices)}.')
    if item.bounds is not None:
        notes.append('From {:g} to {:g}.'.format(*item.bounds))
    if item.live:
        notes.append('Changes while the node runs.')
    comment = textwrap.wrap(
        ' '.join(notes), _WIDTH, initial_indent='    # ', subsequent_indent='    # '
    )
    # An empty list has no type in a parameter file, so it is only shown.
    mute = '# ' if item.default == [] else ''
    return [*comment, f'    {mute}{item.name}: {json.dumps(item.default)}']


def declared_parameters() -> dict[str, tuple[Any, ...]]:
    """What the nodes declare, by node name; imports rclpy."""
    from seg_node.ros import lane_map_parameters, parameters, rgbd_parameters

    return {
        'seg_node': (*parameters.PARAMETERS, *rgbd_parameters.PARAMETERS),
        'lane_map': lane_map_parameters.PARAMETERS,
    }


if __name__ == '__main__':
    sys.stdout.write(render(declared_parameters()))
