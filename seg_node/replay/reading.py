"""From a bag to frames with their labels and distances, in a thread beside the network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import Bag
from seg_node.bags.camera import decode_image
from seg_node.bags.joining import LOOK_AHEAD_NS, FrameJoiner, Joined
from seg_node.camera.depth import decode_depth_image
from seg_node.camera.size import Size
from seg_node.errors import FrameError, InputError
from seg_node.images.frames import Frame
from seg_node.replay.journal import NO_TRUTH, UNUSABLE_TRUTH, WITH_TRUTH
from seg_node.replay.plan import RecordedDrive, ReplayPlan
from seg_node.replay.truth import Coding

Array = npt.NDArray[np.uint8]
WARM_UP = 2
"""Frames before a part of a drive that are run but not counted: flicker looks back so far."""


@dataclass(frozen=True)
class DrivePart:
    """Frames [first, stop) of a drive (stop None: to the end of the selection).

    Reading may begin at log time `read_from_ns`, where frame number `number_there` is; None: at
    the start of the selection, frame 0.
    """

    drive: int
    first: int = 0
    stop: int | None = None
    read_from_ns: int | None = None
    number_there: int = 0


@dataclass(frozen=True)
class Item:
    """One frame on its way: evaluation ids in `truth` and bands in `band`, both uint8 (H, W).

    `warm`: only for the frames after it. `frame` is None when it cannot be used (`rejected`).
    """

    number: int
    stamp: int
    log: int
    warm: bool
    frame_id: str = ''
    frame: Frame | None = None
    truth: Array | None = None
    truth_state: int = NO_TRUTH
    band: Array | None = None
    lost: tuple[int, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    milliseconds: float = 0.0


@dataclass
class PartReader:
    """Reads one part of a drive. `problems` and `tail` are complete after the iteration."""

    plan: ReplayPlan
    part: DrivePart
    problems: list[str] = field(default_factory=list)
    tail: tuple[int, ...] = ()
    _grounds: dict[Size, Array] = field(default_factory=dict)

    @property
    def drive(self) -> RecordedDrive:
        """The drive that the part is of."""
        return self.plan.drives[self.part.drive]

    def __iter__(self) -> Iterator[Item]:
        drive, part = self.drive, self.part
        sides = {'truth': drive.truth_topic, 'depth': drive.depth_topic}
        joiner = FrameJoiner(
            drive.camera, {n: t for n, t in sides.items() if t}, self.plan.tolerance_ns
        )
        begin = part.read_from_ns if part.read_from_ns is not None else drive.start_ns
        topics = [drive.camera, *(t for t in sides.values() if t)]
        with Bag(drive.bag) as bag:
            # A partner may have been recorded somewhat before its frame.
            messages = bag.messages(topics, None if begin is None else begin - LOOK_AHEAD_NS)
            number = part.number_there
            for joined in joiner(messages):
                if begin is not None and joined.camera.log_ns < begin:
                    continue
                if drive.end_ns is not None and joined.camera.log_ns >= drive.end_ns:
                    break
                if number == part.stop:
                    break
                if number >= part.first - WARM_UP:
                    yield self._item(bag, joined, number)
                number += 1
            else:
                self.tail = joiner.tail
            self.problems += [p for p in bag.problems if p not in self.problems]

    def _item(self, bag: Bag, joined: Joined, number: int) -> Item:
        started = time.perf_counter()
        camera = joined.camera
        warm = number < self.part.first
        try:
            frame = decode_image(bag, camera)
        except InputError as error:
            cause = error.cause if isinstance(error, FrameError) else 'message'
            remark = (f'rejected: {cause}', str(error))
            return Item(
                number, camera.stamp_ns, camera.log_ns, warm, lost=joined.lost, remarks=(remark,)
            )
        truth, state, remarks = self._truth(bag, joined, number, frame)
        band, more = self._band(bag, joined, Size(frame.width, frame.height))
        return Item(
            number=number,
            stamp=camera.stamp_ns,
            log=camera.log_ns,
            warm=warm,
            frame_id=camera.frame_id,
            frame=frame,
            truth=truth,
            truth_state=state,
            band=band,
            lost=joined.lost,
            remarks=(*remarks, *more),
            milliseconds=(time.perf_counter() - started) * 1e3,
        )

    def _truth(
        self, bag: Bag, joined: Joined, number: int, frame: Frame
    ) -> tuple[Array | None, int, tuple[tuple[str, str], ...]]:
        if self.plan.coding is None:
            return None, NO_TRUTH, ()
        try:
            label = self._label(bag, joined, number)
            if label is None:
                return None, NO_TRUTH, ()
            if (label.width, label.height) != (frame.width, frame.height):
                raise FrameError(
                    'truth size',
                    f'ground truth: expected {frame.width}x{frame.height} as the picture has, '
                    f'got {label.width}x{label.height}',
                )
            truth = self._coding.labels(label)
        except InputError as error:
            return None, UNUSABLE_TRUTH, (('ground truth not used', str(error)),)
        return truth, WITH_TRUTH, ()

    @cached_property
    def _coding(self) -> Coding:
        """From label codes to evaluation ids in one step."""
        assert self.plan.coding is not None
        return self.plan.coding.then(self.plan.scoring.truth_lut())

    def _label(self, bag: Bag, joined: Joined, number: int) -> Frame | None:
        folder = self.drive.truth_folder
        if folder is not None:
            stamps = (joined.camera.stamp_ns, joined.camera.log_ns)
            path = folder.find(stamps, number, self.plan.tolerance_ns)
            return None if path is None else folder.read(path)
        message = joined.sides.get('truth')
        return None if message is None else decode_image(bag, message)

    def _band(
        self, bag: Bag, joined: Joined, size: Size
    ) -> tuple[Array | None, tuple[tuple[str, str], ...]]:
        if self.drive.ground is not None:
            if size not in self._grounds:
                self._grounds[size] = self.plan.bands.of(self.drive.ground.depth(size))
            return self._grounds[size], ()
        message = joined.sides.get('depth')
        if message is None:
            return None, ()
        try:
            depth = decode_depth_image(bag.deserialize(message))
        except InputError as error:
            return None, (('depth not used', str(error)),)
        if Size.of(depth.pixels) != size:
            problem = f'depth: expected {size} as the picture has, got {Size.of(depth.pixels)}'
            return None, (('depth not used', problem),)
        return self.plan.bands.of(depth), ()
