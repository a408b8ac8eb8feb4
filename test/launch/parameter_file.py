"""The text of config/seg_node.yaml, made from the parameters that the node declares.

python test/launch/parameter_file.py > config/seg_node.yaml
"""

from __future__ import annotations

import json
from typing import Any

HEADER = """\
# Parameters of the node seg_node, each with its default. Give a copy to a launch file:
#   ros2 launch seg_node camera.launch.py params_file:=mine.yaml
# or to the node:
#   ros2 run seg_node seg_node --ros-args --params-file mine.yaml
# Launch arguments that are given win over this file. `/**/seg_node` is the node in any namespace;
# a block `/**/carla_source` or `/**/lane_map` sets the parameters of those nodes.
"""
FOOTER = """\
    # QoS of any topic, by ROS's own names, e.g. a reliable subscription:
    # qos_overrides./camera/image_raw.subscription.reliability: reliable
"""


def render(parameters: Any) -> str:
    """The file for a sequence of `Declared`."""
    lines = [HEADER, '/**/seg_node:', '  ros__parameters:']
    for item in parameters:
        notes = [item.description]
        if item.choices:
            notes.append('One of ' + ', '.join(choice or "''" for choice in item.choices) + '.')
        if item.bounds is not None:
            notes.append(f'{item.bounds[0]:g} to {item.bounds[1]:g}.')
        if item.live:
            notes.append('Changes while the node runs.')
        lines.append('    # ' + ' '.join(notes))
        # The parser of ROS takes no empty list: it has no type.
        mute = '# ' if item.default in ([], ()) else ''
        lines.append(f'    {mute}{item.name}: {json.dumps(item.default)}')
    return '\n'.join(lines) + '\n' + FOOTER


if __name__ == '__main__':
    from seg_node.ros.parameters import PARAMETERS

    print(render(PARAMETERS), end='')
