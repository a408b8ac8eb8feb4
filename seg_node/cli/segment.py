"""Segment pictures, a folder, a video or a bag: one PNG of class ids a frame.

Each PNG is 8-bit, single-channel, of the source's size, and named after the input: NAME.png for a
picture NAME.jpg, NAME_000000.png and so on for a video. Pictures that cannot be read are named and
left out, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from seg_node.cli.lane_lines import LaneRecorder, add_line_arguments
from seg_node.cli.model_options import add_model_arguments, run_options
from seg_node.errors import ConfigError, FrameError, InputError
from seg_node.files import write_image, write_json
from seg_node.images.overlay import paint
from seg_node.model.loader import load_model
from seg_node.pipeline import Segmenter
from seg_node.progress import track
from seg_node.sources import BagSource, open_source
from seg_node.timing import Recorder, Stopwatch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('input', type=Path, help='picture, folder, video or bag')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='DIR')
    parser.add_argument('--topic', help='camera topic of a bag; default: by what the pictures are')
    parser.add_argument('--overlay', action='store_true', help='also NAME_overlay.jpg')
    parser.add_argument('--overlay-video', type=Path, metavar='FILE.mp4')
    parser.add_argument('--confidence', action='store_true', help='also NAME_confidence.png')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')
    add_line_arguments(parser.add_argument_group('lane lines'))
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Segment everything; 1 when a picture could not be read."""
    source = open_source(options.input, options.topic)
    folder = options.input if options.input.is_dir() else options.input.parent
    if options.output.resolve() == folder.resolve():
        raise ConfigError(
            f'--output {options.output}: is the input folder, masks would mix with it'
        )
    loaded = load_model(options.model, run_options(options))
    segmenter = Segmenter(loaded.runner)
    classes = loaded.runner.spec.classes
    recorder = Recorder(window=None)
    failed: list[str] = []
    lanes = LaneRecorder(options, classes) if options.lanes else None
    done = 0

    def complain(error: InputError) -> None:
        failed.append(str(error))
        print(f'error: {error}', file=sys.stderr)

    if isinstance(source, BagSource):
        print(f'camera: {source.camera}')
    with contextlib.ExitStack() as stack:
        append = _overlay_video(stack, options.overlay_video, source.rate)
        for item in track(source.frames(complain), 'segment', source.count):
            watch = Stopwatch()
            try:
                result = segmenter(item.frame, watch)
            except FrameError as error:
                complain(InputError(f'{item.origin or item.name}: {error}'))
                continue
            recorder.add_stages(watch)
            write_image(options.output / f'{item.name}.png', result.mask)
            if options.confidence:
                confidence = result.confidence()
                if confidence is None:
                    raise InputError('--confidence: this model has no scores')
                write_image(options.output / f'{item.name}_confidence.png', confidence)
            if lanes is not None:
                lanes.add(item.name, result.mask)
            if options.overlay or append is not None:
                painted = paint(item.frame.bgr(), result.mask, classes)
                if options.overlay:
                    write_image(options.output / f'{item.name}_overlay.jpg', painted)
                if append is not None:
                    append(painted)
            done += 1
    print(f'{done} masks in {options.output}' + (f', {len(failed)} failed' if failed else ''))
    if lanes is not None:
        print(lanes.write())
    if options.json:
        figures = {'frames': done, 'failed': failed, 'milliseconds': recorder.summary()}
        write_json(options.json, figures)
    return 1 if failed or not done else 0


def _overlay_video(
    stack: contextlib.ExitStack, path: Path | None, rate: float | None
) -> Callable[..., None] | None:
    if path is None:
        return None
    from seg_node.images.video import video_writer

    return stack.enter_context(video_writer(path, rate or 10.0))
