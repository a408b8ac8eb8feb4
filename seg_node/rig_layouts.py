"""Layouts of RViz and Foxglove for several cameras, made of those for one.

`python -m seg_node.rig_layouts rgb_left rgb_front rgb_right -o DIR` writes `rig.rviz` and
`rig.json` for the node's `cameras` of these names.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from seg_node.errors import SegNodeError
from seg_node.files import write_atomic
from seg_node.share import share_dir

_NODE = '/seg_node/'
_PANELS = ('Image!overlay', 'Image!mask')


def of_camera(topic: str, camera: str) -> str:
    """A topic of the node's only camera, as a camera of several has it; others as they are."""
    return topic.replace(_NODE, f'{_NODE}{camera}/', 1) if topic.startswith(_NODE) else topic


def rviz_layout(single: str, cameras: Sequence[str]) -> str:
    """RViz's configuration for one camera as one for several: a display of each for each."""
    layout = yaml.safe_load(single)
    manager = layout['Visualization Manager']
    displays: list[Any] = []
    windows: dict[str, Any] = {}
    for display in manager['Displays']:
        topic = display.get('Topic', {}).get('Value', '')
        if not topic.startswith(_NODE):
            displays.append(display)
            continue
        for camera in cameras:
            own = copy.deepcopy(display)
            own['Name'] = f'{display["Name"]} {camera}'
            own['Topic']['Value'] = of_camera(topic, camera)
            displays.append(own)
            if display['Name'] in layout['Window Geometry']:
                windows[own['Name']] = copy.deepcopy(layout['Window Geometry'][display['Name']])
    manager['Displays'] = displays
    sizes = ('Width', 'Height')
    layout['Window Geometry'] = {n: layout['Window Geometry'][n] for n in sizes} | windows
    return yaml.safe_dump(layout, sort_keys=False, width=99)


def foxglove_layout(single: str, cameras: Sequence[str]) -> str:
    """Foxglove's layout for one camera as one for several: picture and mask of each in a row."""
    layout = json.loads(single)
    panels = layout['configById']
    rows = []
    for camera in cameras:
        names = []
        for panel in _PANELS:
            own = copy.deepcopy(panels[panel])
            own['imageMode']['imageTopic'] = of_camera(own['imageMode']['imageTopic'], camera)
            own['foxglovePanelTitle'] += f', {camera}'
            names.append(f'{panel}_{camera}')
            panels[names[-1]] = own
        rows.append(_split(names, 'row'))
    for panel in _PANELS:
        del panels[panel]
    scene = panels['3D!map']
    scene['topics'] = {
        name: shown
        for topic, shown in scene['topics'].items()
        for name in dict.fromkeys(of_camera(topic, camera) for camera in cameras)
    }
    others = _split(['3D!map', _split(['DiagnosticSummary!node', 'RosOut!log'], 'row')], 'column')
    layout['layout'] = _split([_split(rows, 'column'), others], 'row')
    return json.dumps(layout, indent=2, ensure_ascii=False) + '\n'


def _split(parts: Sequence[Any], direction: str) -> Any:
    """Parts of one size, as Foxglove nests them: a first, and the rest as the second."""
    if len(parts) == 1:
        return parts[0]
    rest = _split(parts[1:], direction)
    share = round(100 / len(parts), 1)
    return {'first': parts[0], 'second': rest, 'direction': direction, 'splitPercentage': share}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both layouts."""
    parser = argparse.ArgumentParser(
        prog='python -m seg_node.rig_layouts', description=(__doc__ or '').splitlines()[0]
    )
    parser.add_argument('cameras', nargs='+', metavar='CAMERA', help='as in the node parameter')
    parser.add_argument('-o', '--output', type=Path, default=Path(), metavar='DIR')
    options = parser.parse_args(arguments)
    texts = {
        'rig.rviz': rviz_layout(_shipped('rviz', 'seg_node.rviz'), options.cameras),
        'rig.json': foxglove_layout(_shipped('foxglove', 'live.json'), options.cameras),
    }
    try:
        for name, text in texts.items():
            with write_atomic(options.output / name) as temporary:
                temporary.write_text(text, encoding='utf-8')
            print(f'{options.output / name}: written')
    except (OSError, SegNodeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


def _shipped(folder: str, name: str) -> str:
    return (share_dir() / folder / name).read_text(encoding='utf-8')


if __name__ == '__main__':
    raise SystemExit(main())
