"""config/seg_node.yaml and the tables of parameters in docs/, made from the declarations.

`python -m seg_node.ros.parameter_docs` writes them anew; `--check` only says whether they are as
the nodes declare.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seg_node.errors import InputError, SegNodeError
from seg_node.files import write_atomic
from seg_node.ros.declared import Declared, declared
from seg_node.ros.lane_map_parameters import LaneMapSettings
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.node_settings import NodeSettings

CONFIG = 'config/seg_node.yaml'
HEADER = """\
# Parameters of all nodes, each with its default. A changed copy goes to a launch file, or to a
# node, before it starts or while it runs:
#   ros2 launch seg_node camera.launch.py params_file:=mine.yaml
#   ros2 run seg_node seg_node --ros-args --params-file mine.yaml
#   ros2 param load /seg_node mine.yaml
# Launch arguments that are given win over this file. `/**` is every node, each takes what it
# declares; `/**/lane_map` is that node in any namespace, and a block `/**/seg_node` is taken too.
# QoS by ROS's own names, for example
#   qos_overrides./camera/image_raw.subscription.reliability: reliable
"""
_ONLY_SHOWN = """
# The nodes play and carla_source. Their blocks are only shown: what is set in a block for a node
# wins over `-p NAME:=VALUE`.
"""
_WIDTH = 99
_BEGIN, _END = '<!-- parameters {name} -->', '<!-- end of parameters -->'


def tables() -> dict[str, tuple[Declared, ...]]:
    """The parameters by the name of their table."""
    from seg_node.ros.outputs import settings_kinds
    from seg_node.ros.play_node import PlaySettings
    from seg_node_sim.ros.parameters import SourceSettings

    return {
        'seg_node': declared(NodeSettings, *settings_kinds()),
        'mapping': declared(MappingSettings),
        'lane_map': declared(LaneMapSettings),
        'play': declared(PlaySettings),
        'carla_source': declared(SourceSettings),
    }


def config_text() -> str:
    """The text of config/seg_node.yaml."""
    parameters = tables()
    lines = [HEADER.rstrip('\n')]
    lines += _block('/**', (*parameters['seg_node'], *parameters['mapping']))
    lines += _block('/**/lane_map', parameters['lane_map'])
    lines += _ONLY_SHOWN.rstrip().splitlines()
    for node in ('play', 'carla_source'):
        lines += [f'# {line}'.rstrip() for line in _block(f'/**/{node}', parameters[node])]
    return '\n'.join(lines) + '\n'


def with_tables(text: str) -> str:
    """A page of the documentation with its tables renewed.

    Raises `InputError` for a table that there is not.
    """
    parameters = tables()

    def renewed(match: re.Match[str]) -> str:
        name = match['name']
        if name not in parameters:
            raise InputError(f'parameters {name}: expected one of {", ".join(parameters)}')
        table = '\n'.join(_table(parameters[name]))
        return f'{_BEGIN.format(name=name)}\n{table}\n{_END}'

    begin = _BEGIN.format(name='(?P<name>[a-z_]+)')
    return re.sub(f'{begin}.*?{_END}', renewed, text, flags=re.DOTALL)


def pages(root: Path) -> dict[Path, str]:
    """What every file that is made from the declarations should hold, below the repository."""
    texts = {root / CONFIG: config_text()}
    for page in sorted((root / 'docs').glob('*.md')):
        text = page.read_text(encoding='utf-8')
        if _END in text:
            texts[page] = with_tables(text)
    return texts


def _block(node: str, items: tuple[Declared, ...]) -> Iterator[str]:
    yield from ('', f'{node}:', '  ros__parameters:')
    loadable = not all(item.read_only for item in items)
    for item in items:
        notes = ' '.join([item.description, *_limits(item)])
        yield from textwrap.wrap(
            notes, _WIDTH - 2, initial_indent='    # ', subsequent_indent='    # '
        )
        # An empty list has no type in a parameter file, and what is read-only cannot be loaded
        # into a node that runs: both are only shown.
        mute = '# ' if item.default == [] or (item.read_only and loadable) else ''
        yield f'    {mute}{item.name}: {json.dumps(item.default)}'


def _limits(item: Declared) -> Iterator[str]:
    if item.choices:
        yield f'One of {", ".join(item.choices)}.'
    if item.bounds is not None:
        yield 'From {:.10g} to {:.10g}.'.format(*item.bounds)
    if item.live:
        yield 'Changes while the node runs.'


def _table(items: tuple[Declared, ...]) -> Iterator[str]:
    yield '| name | default | when | meaning |'
    yield '|---|---|---|---|'
    for item in items:
        when = 'live' if item.live else 'at the start' if item.read_only else ''
        choices = f' `{"`, `".join(item.choices)}`' if item.choices else ''
        bounds = ' {:.10g} to {:.10g}.'.format(*item.bounds) if item.bounds else ''
        meaning = f'{item.description}{choices}{bounds}'.replace('|', '\\|')
        yield f'| `{item.name}` | `{_shown(item.default)}` | {when} | {meaning} |'


def _shown(default: Any) -> str:
    if default in ([], ['']):
        return '[]'
    return json.dumps(default)


def main(arguments: list[str] | None = None) -> int:
    """0 when everything is as declared, or has been written."""
    parser = argparse.ArgumentParser(
        prog='python -m seg_node.ros.parameter_docs',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--root', type=Path, default=Path(), help='the repository; default: here')
    parser.add_argument('--check', action='store_true', help='write nothing')
    options = parser.parse_args(arguments)
    try:
        stale = [
            (page, text)
            for page, text in pages(options.root).items()
            if not page.is_file() or page.read_text(encoding='utf-8') != text
        ]
        for page, text in stale:
            print(f'{page}: ' + ('not as the nodes declare' if options.check else 'written'))
            if not options.check:
                with write_atomic(page) as temporary:
                    temporary.write_text(text, encoding='utf-8')
    except (SegNodeError, OSError) as error:
        print(f'error: {error}')
        return 1
    return 1 if stale and options.check else 0


if __name__ == '__main__':
    raise SystemExit(main())
