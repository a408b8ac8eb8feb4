"""The front door: `python -m seg_node VERB`; a file a verb, imported when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from seg_node.errors import ConfigError, SegNodeError, cause_line
from seg_node.executables import interrupt_ends
from seg_node.prerequisites import array_problem, missing
from seg_node.venv import use_venv

VERBS = {
    'segment': ('seg_node.cli.segment', 'masks of pictures, a folder, a video or a bag'),
    'replay': ('seg_node.cli.replay', 'evaluate models on every frame of a recorded drive'),
    'view': ('seg_node.cli.view', 'a drive with its masks, lines and path in a viewer (Rerun)'),
    'play': ('seg_node.cli.play', 'publish a folder, a video or a bag as a ROS camera'),
    'bench': ('seg_node.cli.bench', 'latency of every stage, for models, backends and sizes'),
    'doctor': ('seg_node.cli.doctor', 'what is wrong with this machine or ROS graph'),
    'lane-map': ('seg_node.cli.lane_map', 'a lane map of a bag, compared with the truth'),
    'rtabmap-paint': ('seg_node.cli.rtabmap_paint', 'paint a finished RTAB-Map database'),
    'demo': ('seg_node.cli.demo', 'camera, DDS, node and masks, on this machine alone'),
    'soak': ('seg_node.cli.soak', 'the whole system for minutes while its parts are killed'),
    'sim': ('seg_node.cli.sim', 'CARLA: embedded server, captures, drives'),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; errors are one line on stderr and exit status 1, bad usage 2.

    With `SEG_NODE_TRACEBACK=1` an error that was not foreseen shows where it came from.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in VERBS:
        return _usage(arguments)
    verb = arguments[0]
    try:
        module = _module(verb)
        parser = argparse.ArgumentParser(
            prog=f'python -m seg_node {verb}',
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        options = parser.parse_args(arguments[1:])
        return int(module.run(options))
    except SegNodeError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except ImportError as error:
        print(f'error: {missing(error)}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:  # `… | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last net: one line with the cause, whatever it was
        if os.environ.get('SEG_NODE_TRACEBACK'):
            raise
        print(f'error: {cause_line(error)}', file=sys.stderr)
        return 1


def _module(verb: str) -> ModuleType:
    """The module of a verb. Raises `ConfigError` where numpy and OpenCV cannot be imported."""
    with interrupt_ends(130, 'interrupted'):
        use_venv()
        if verb != 'doctor' and (problem := array_problem()):
            raise ConfigError(problem)
        return importlib.import_module(VERBS[verb][0])


def _usage(arguments: Sequence[str]) -> int:
    lines = ['usage: python -m seg_node VERB [options]', '']
    lines += [f'  {verb:13} {what}' for verb, (_, what) in VERBS.items()]
    lines += ['', 'python -m seg_node VERB --help tells more.']
    asked = bool(arguments) and arguments[0] in ('-h', '--help')
    if arguments and not asked:
        lines.insert(0, f'error: verb {arguments[0]!r}: expected one of {", ".join(VERBS)}')
    print('\n'.join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
