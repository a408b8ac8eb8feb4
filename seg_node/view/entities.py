"""Frames as Rerun's entities: pictures, masks, lines in 3-D, the path, plots; and their layout.

Below the root of a drive:

`world` (right-handed, z up: the odometry's frame, or the vehicle's where there is none)
    `path/NNNN`, `vehicle` (pose), `vehicle/lane_lines`, `vehicle/ego_lane`, `vehicle/lane_points`,
    `vehicle/camera` (pinhole) with `picture`, `mask`, `confidence`, `truth`; `lane_map`
`plots`
    `latency_ms/STAGE`, `iou/CLASS`, `counts/lane_lines`, `counts/lane_points`

Timelines: `stamp` and `frame`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import rerun as rr
import rerun.blueprint as rrb

from seg_node.classes import ClassSet, Rgb
from seg_node.lane_lines.from_bag import DrivenFrame
from seg_node.lane_lines.line import CENTRE_COLOUR, KIND_COLOURS, Double, LaneLines
from seg_node.view.frames import ViewFrame

APPLICATION = 'seg_node'
_JPEG_QUALITY = 85
_PATH_PIECE = 100
"""Poses in an entity of the path: what is written again with each frame is bounded by it."""
_OPACITY = 0.5
_EPOCH_NS = 10**17
"""Stamps above it (1973) are dates, those below simulated time or a video's."""
_PATH = (80, 200, 120)


@dataclass(frozen=True)
class LineStrip:
    """A lane line as it is drawn: points float64 (N, 3) metres, colour RGB."""

    points: Double
    colour: Rgb
    label: str


class DriveEntities:
    """Writes the frames of one drive, in their order, into a recording.

    root: path of its entities, `/` or e.g. `/drive_0`. truth_names: evaluation classes of the
    frames' truth, in id order.
    """

    def __init__(
        self,
        recording: Any,
        classes: ClassSet,
        root: str = '',
        truth_names: tuple[str, ...] = (),
    ) -> None:
        self._recording, self._classes, self._root = recording, classes, root.rstrip('/')
        self._number = 0
        self._since_epoch: bool | None = None
        self._piece: list[Double] = []
        self._pieces = 0
        self._looked: DrivenFrame | None = None
        recording.set_log_time_enabled(False)  # the timelines are the drive's own
        recording.set_log_tick_enabled(False)
        self._static('world', rr.ViewCoordinates.RIGHT_HAND_Z_UP)
        self._static('world', _annotation(classes))
        if truth_names:
            colours = (_colour_of(name, classes) for name in truth_names)
            truth = ClassSet(truth_names, tuple(colours))
            self._static('world/vehicle/camera/truth', _annotation(truth))

    def add(self, frame: ViewFrame) -> None:
        """Write the next frame."""
        self.at(frame.time_ns)
        self._recording.set_time('frame', sequence=self._number)
        self._number += 1
        camera = 'world/vehicle/camera'
        self._log(f'{camera}/picture', _jpeg(frame.picture.bgr()))
        self._log(f'{camera}/mask', rr.SegmentationImage(frame.mask, opacity=_OPACITY))
        if frame.confidence is not None:
            self._log(f'{camera}/confidence', _jpeg(frame.confidence))
        if frame.truth is not None:
            self._log(f'{camera}/truth', rr.SegmentationImage(frame.truth, opacity=_OPACITY))
        for stage, milliseconds in frame.milliseconds.items():
            self.plot(f'latency_ms/{stage}', milliseconds)
        self.plot('latency_ms/total', sum(frame.milliseconds.values()))
        for name, value in frame.iou.items():
            self.plot(f'iou/{name}', value)
        if frame.driven is not None:
            self._place(frame.driven)

    def at(self, time_ns: int) -> None:
        """What is written from now on is of this stamp."""
        if self._since_epoch is None:
            self._since_epoch = time_ns > _EPOCH_NS
        if self._since_epoch:
            self._recording.set_time('stamp', timestamp=np.datetime64(time_ns, 'ns'))
        else:
            self._recording.set_time('stamp', duration=np.timedelta64(time_ns, 'ns'))

    def pose(self, pose: Double) -> None:
        """Where the vehicle is, float64 (4, 4); its path grows."""
        self._log('world/vehicle', _transform(pose))
        self._path(pose[:3, 3])

    def camera(self, mount: Double) -> None:
        """Where the camera is, float64 (4, 4), optical frame -> the vehicle's."""
        self._log('world/vehicle/camera', _transform(mount))

    def lines(self, strips: Sequence[LineStrip]) -> None:
        """The lane lines, in the vehicle's frame."""
        self._log(
            'world/vehicle/lane_lines',
            rr.LineStrips3D(
                [strip.points for strip in strips],
                colors=[strip.colour for strip in strips],
                labels=[strip.label for strip in strips],
                radii=[0.06] * len(strips),
            ),
        )
        self.plot('counts/lane_lines', len(strips))

    def ego_lane(self, centre: Double) -> None:
        """The ego lane's centre line, float64 (N, 3) in the vehicle's frame."""
        strips = [centre] if len(centre) > 1 else []
        shown = rr.LineStrips3D(strips, colors=[CENTRE_COLOUR], radii=[0.04])
        self._log('world/vehicle/ego_lane', shown)

    def lane_points(
        self, points: Double, ids: npt.NDArray[np.uint8], place: str = 'vehicle'
    ) -> None:
        """Points (N, 3) with their classes; `place`: `vehicle` or `vehicle/camera`."""
        shown = rr.Points3D(points, class_ids=ids, radii=[0.05])
        self._log(f'world/{place}/lane_points', shown)
        self.plot('counts/lane_points', len(points))

    def lane_map(self, points: Double, ids: npt.NDArray[np.uint8]) -> None:
        """The map of the markings so far, (N, 3) in the odometry's frame, with their classes."""
        self._log('world/lane_map', rr.Points3D(points, class_ids=ids, radii=[0.05]))

    def plot(self, path: str, value: float) -> None:
        """One value of the plot `path`."""
        self._log(f'plots/{path}', rr.Scalars(float(value)))

    def _place(self, driven: DrivenFrame) -> None:
        self._camera(driven)
        if driven.pose is not None:
            self.pose(driven.pose)
        self.lines(_strips(driven.lines))
        self.ego_lane(driven.lines.centre())
        samples = driven.samples
        points = np.stack([samples.x, samples.y, samples.z], axis=1)
        self.lane_points(points, samples.class_id)

    def _camera(self, driven: DrivenFrame) -> None:
        """How the camera stands and sees; again only when it changed."""
        if self._looked is not None and self._looked.view is driven.view:
            return
        self._looked = driven
        view, size = driven.view, driven.size
        middle = size.height // 2 * size.width
        x = view.rays.x[middle : middle + size.width].astype(np.float64)
        column = np.arange(size.width)
        seen = np.isfinite(x)
        # The straight camera nearest to the lens: what Rerun can draw.
        focal, offset = np.polyfit(x[seen], column[seen], 1)
        pinhole = rr.Pinhole(
            focal_length=[focal, focal],
            principal_point=[offset, (size.height - 1) / 2],
            resolution=[size.width, size.height],
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=2.0,
        )
        self._log('world/vehicle/camera', _transform(view.mount), pinhole)

    def _path(self, position: Double) -> None:
        self._piece.append(np.array(position))
        if len(self._piece) > 1:
            strip = rr.LineStrips3D([np.array(self._piece)], colors=[_PATH], radii=[0.06])
            self._log(f'world/path/{self._pieces:04d}', strip)
        if len(self._piece) > _PATH_PIECE:
            self._pieces += 1
            self._piece = self._piece[-1:]

    def _log(self, path: str, *what: Any) -> None:
        self._recording.log(f'{self._root}/{path}', *what)

    def _static(self, path: str, what: Any) -> None:
        self._recording.log(f'{self._root}/{path}', what, static=True)


def layout(roots: Sequence[str] = ('',)) -> Any:
    """The viewer's layout: a tab a drive where there are several."""
    drives = [_drive_layout(root.rstrip('/')) for root in roots]
    return rrb.Blueprint(drives[0] if len(drives) == 1 else rrb.Tabs(*drives))


def _drive_layout(root: str) -> Any:
    """Pictures at the left, the road in 3-D and the plots at the right."""
    camera = f'{root}/world/vehicle/camera'

    def pictures(name: str, *contents: str) -> Any:
        return rrb.Spatial2DView(
            origin=camera, name=name, contents=[f'{camera}/{part}' for part in contents]
        )

    def plot(name: str, path: str) -> Any:
        return rrb.TimeSeriesView(origin=f'{root}/plots/{path}', name=name)

    left = rrb.Vertical(
        pictures('mask', 'picture', 'mask'),
        rrb.Tabs(
            pictures('confidence', 'confidence'),
            pictures('ground truth', 'picture', 'truth'),
        ),
    )
    right = rrb.Vertical(
        rrb.Spatial3DView(
            origin=f'{root}/world',
            name='road',
            contents=['$origin/**', f'- {camera}/confidence', f'- {camera}/truth'],
        ),
        rrb.Horizontal(
            plot('latency, ms', 'latency_ms'), plot('IoU', 'iou'), plot('counts', 'counts')
        ),
        row_shares=[2, 1],
    )
    return rrb.Horizontal(left, right, name=root.lstrip('/') or None)


def _annotation(classes: ClassSet) -> Any:
    """Names and colours of the ids; the background shows the picture."""
    return rr.AnnotationContext(
        [
            rr.AnnotationInfo(id=i, label=name, color=(*colour, 255 if i else 0))
            for i, (name, colour) in enumerate(zip(classes.names, classes.colours))
        ]
    )


def _colour_of(name: str, classes: ClassSet) -> Rgb:
    return classes.colours[classes.names.index(name)] if name in classes.names else (128, 64, 128)


def _jpeg(picture: npt.NDArray[np.uint8]) -> Any:
    _, data = cv2.imencode('.jpg', picture, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return rr.EncodedImage(contents=data.tobytes(), media_type='image/jpeg')


def _transform(matrix: Double) -> Any:
    return rr.Transform3D(translation=matrix[:3, 3], mat3x3=matrix[:3, :3])


def _strips(lines: LaneLines) -> list[LineStrip]:
    places = lines.places()
    return [
        LineStrip(
            line.points(),
            KIND_COLOURS[line.kind],
            f'{places[i]} {line.kind} {line.confidence:.2f}',
        )
        for i, line in enumerate(lines.lines)
    ]
