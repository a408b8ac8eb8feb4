"""`python -m seg_node sim serve|capture|drive`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from seg_node.camera.size import Size
from seg_node.errors import ConfigError, problems_line, validation_problems
from seg_node.files import write_json
from seg_node.progress import track
from seg_node.share import share_dir
from seg_node_sim.client.ask import town_of, towns_of
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.frames_ros import SKY_DEPTHS
from seg_node_sim.client.rig import load_rig
from seg_node_sim.client.session import Address
from seg_node_sim.server import cli as server_cli


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest='sim_verb', required=True, metavar='serve|capture|drive')
    serve = verbs.add_parser('serve', help='the embedded server, speaking CARLA 0.9.16')
    server_cli.add_arguments(serve)
    _add_capture(verbs.add_parser('capture', help='a labelled data set, or a bag with the truth'))
    _add_drive(verbs.add_parser('drive', help='drive and report ticks/s and how images join'))


def run(options: argparse.Namespace) -> int:
    """Run the sub-verb that was asked for."""
    if options.sim_verb == 'serve':
        return server_cli.main(options)
    require_carla()
    signal.signal(signal.SIGTERM, _interrupt)  # ends as Ctrl-C does: lists written, cleaned up
    return _capture(options) if options.sim_verb == 'capture' else _drive(options)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _server(options: argparse.Namespace, town: str) -> Iterator[Address]:
    """The server that was asked for, or an embedded one for as long as it is needed."""
    if options.host is not None:
        yield Address(options.host, options.port or 2000, options.timeout)
        return
    from seg_node_sim.client.traffic import free_port
    from seg_node_sim.maps import town_names
    from seg_node_sim.server import ServerOptions, start_server_process

    port = options.port or free_port()
    first = town if town in town_names() else town_names()[0]
    server_options = ServerOptions(port=port, town=first, exit_with_parent=True)
    with start_server_process(server_options) as server:
        yield Address(server.options.host, port, options.timeout)


def _add_server(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('server')
    group.add_argument('--host', help='a running CARLA server; default: start the embedded one')
    group.add_argument('--port', type=int, help='its port (2000); embedded: any free one')
    group.add_argument(
        '--timeout', type=float, default=10.0, metavar='S', help='longest call (%(default)g s)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')


def _add_capture(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        'Drive through towns and write what the cameras see with the exact truth. Run the same '
        'command again to resume.'
    )
    parser.add_argument('-o', '--output', type=Path, metavar='DIR', help='data set folder')
    parser.add_argument('--bag', type=Path, metavar='FILE.mcap', help='write an MCAP bag')
    parser.add_argument(
        '--sky-depth', choices=SKY_DEPTHS, default='unknown',
        help="the sky in the bag's depth images: 0, or 1000 m as ros-bridge has it (%(default)s)",
    )  # fmt: skip
    parser.add_argument('--frames', type=int, default=1000, help='how many (%(default)s)')
    parser.add_argument('--town', action='append', help="repeat for several; 'all'; default: the "
                        "server's present one")  # fmt: skip
    parser.add_argument('--weather', action='append', help='preset, random or NAME=VALUE,...; '
                        'repeat for several, taken in turn (ClearNoon)')  # fmt: skip
    parser.add_argument(
        '--randomize', action='store_true',
        help='all towns, and another camera, weather and traffic for each drive',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--size', default='640x360', metavar='WxH')
    parser.add_argument('--fov', type=float, default=90.0, help='degrees (%(default)g)')
    parser.add_argument('--rig', type=Path, help="rig file in ros-bridge's objects.json form")
    parser.add_argument('--traffic', type=int, default=12, help='vehicles (%(default)s)')
    parser.add_argument('--fps', type=float, help='simulated ticks a second (10; with --bag 20)')
    parser.add_argument('--every', type=int, help='ticks from frame to frame (4; with --bag 1)')
    parser.add_argument(
        '--frames-per-drive', type=int, help='(25 or fewer; with --bag all in one drive)'
    )
    group = parser.add_argument_group('data set')
    group.add_argument(
        '--layout', choices=('ours', 'predecessor', 'both'), default='ours',
        help='images/ labels/ as class ids, or rgb/ seg/ in colours (%(default)s)',
    )  # fmt: skip
    group.add_argument('--classes', type=int, choices=(23, 28), default=23,
                       help='classes of classes.json (%(default)s)')  # fmt: skip
    group.add_argument('--lane-types', action='store_true', help='also six-class lane labels')
    group.add_argument('--image-format', choices=('jpg', 'png'), default='jpg')
    group.add_argument('--jpeg-quality', type=int, default=92)
    group.add_argument('--val', type=float, default=0.1, help='share of drives (%(default)g)')
    group.add_argument('--test', type=float, default=0.1, help='share of drives (%(default)g)')
    group.add_argument('--val-town', action='append', default=[], help='held out for val')
    group.add_argument('--test-town', action='append', default=[], help='held out for test')
    _add_server(parser)


def _capture(options: argparse.Namespace) -> int:
    from seg_node_sim.client.capture import capture
    from seg_node_sim.client.plan import CaptureOptions

    if options.output is None and options.bag is None:
        raise ConfigError('expected -o DIR, --bag FILE.mcap or both')
    with_bag = options.bag is not None
    size = Size.parse(options.size)
    towns = options.town or []
    with _server(options, towns[0] if towns else '') as address:
        known = towns_of(address)
        if (options.randomize and not towns) or 'all' in towns:
            towns = list(known)
        towns = towns or [town_of(address)]
        try:
            capture_options = CaptureOptions(
                frames=options.frames,
                towns=tuple(towns),
                weathers=tuple(options.weather or ['ClearNoon']),
                seed=options.seed,
                frames_per_drive=options.frames_per_drive or (options.frames if with_bag else 0),
                every=options.every or (1 if with_bag else 4),
                fps=options.fps or (20.0 if with_bag else 10.0),
                traffic=options.traffic,
                randomize=options.randomize,
                width=size.width,
                height=size.height,
                fov=options.fov,
                rig=load_rig(options.rig) if options.rig else None,
                layout=options.layout,
                classes=options.classes,
                lane_types=options.lane_types,
                image_format=options.image_format,
                jpeg_quality=options.jpeg_quality,
                sky_depth=options.sky_depth,
                val=options.val,
                test=options.test,
                val_towns=tuple(options.val_town),
                test_towns=tuple(options.test_town),
            )
        except ValidationError as error:
            raise ConfigError(_problems('capture', error)) from None
        unknown = sorted(
            {*capture_options.towns, *capture_options.val_towns, *capture_options.test_towns}
            - {*known, *(f'{k}_Opt' for k in known)}
        )
        if unknown:
            raise ConfigError(
                f'town {", ".join(unknown)}: expected one of {", ".join(known)} or all'
            )
        started = time.monotonic()
        result = capture(options.output, capture_options, address, options.bag)
    seconds = time.monotonic() - started
    places = ' and '.join(str(p) for p in (options.output, options.bag) if p is not None)
    print(f'{result.frames} frames in {places} ({result.drives} drives in {seconds:.0f} s)')
    if options.json:
        figures = {'frames': result.frames, 'drives': result.drives, 'seconds': seconds}
        write_json(options.json, figures)
    return 0


def _problems(verb: str, error: ValidationError) -> str:
    return problems_line(verb, validation_problems(error))


def _add_drive(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        'Drive on autopilot for some ticks: ticks a second, frames that joined, and how far the '
        'vehicle left the middle of its lane.'
    )
    parser.add_argument('--ticks', type=int, default=1000, help='how many (%(default)s)')
    parser.add_argument('--town', default='', help="default: the server's present one")
    parser.add_argument('--weather', default='keep', help='preset, random, NAME=VALUE,... or keep')
    parser.add_argument('--rig', type=Path, help='rig file; default: the shipped one')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--traffic', type=int, default=10, help='vehicles (%(default)s)')
    parser.add_argument('--fps', type=float, default=20.0, help='simulated (%(default)g)')
    _add_server(parser)


def _drive(options: argparse.Namespace) -> int:
    from seg_node_sim.client.lane_offset import LaneOffset
    from seg_node_sim.client.remote import DriveProcess

    rig = load_rig(options.rig or share_dir() / 'config' / 'rig.json')
    with _server(options, options.town) as address:
        try:
            request = DriveRequest(
                host=address.host,
                port=address.port,
                timeout_s=address.timeout_s,
                rig=rig,
                town=options.town,
                weather=options.weather,
                seed=options.seed,
                traffic=options.traffic,
                fps=options.fps,
            )
        except ValidationError as error:
            raise ConfigError(_problems('drive', error)) from None
        frames, offsets = [], []
        with DriveProcess(request, retry_s=30.0, say=print) as process:
            assert process.ready is not None
            lane = LaneOffset(process.ready.xodr)
            started = time.monotonic()
            for _, tick in zip(track(range(options.ticks), 'drive'), process):
                frames.append(tick.frame)
                offsets.append(lane.of(tick.ego.pose))
            seconds = time.monotonic() - started
            version, town = process.ready.server_version, process.ready.town
    known = [o for o in offsets if o is not None]
    figures = {
        'ticks': len(frames),
        'ticks_per_s': len(frames) / seconds,
        'cameras': len(rig.cameras),
        'mismatches': int(np.count_nonzero(np.diff(frames) != 1)),
        'lane_offset_max_m': max(known, default=None),
        'town': town,
        'server': version,
    }
    print(
        f'{figures["ticks"]} ticks in {town}, {figures["ticks_per_s"]:.1f} ticks/s, '
        f'{len(rig.cameras)} cameras, {figures["mismatches"]} mismatches, '
        f'at most {max(known, default=float("nan")):.2f} m from the middle of the lane'
    )
    if options.json:
        write_json(options.json, figures)
    return 0 if len(frames) == options.ticks and not figures['mismatches'] else 1
