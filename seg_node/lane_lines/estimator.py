"""One frame's way: mask to samples, samples to lines, lines to tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from seg_node.classes import ClassSet
from seg_node.lane_lines.course import Course
from seg_node.lane_lines.fit import FitOptions, FittedLine, fit_lines
from seg_node.lane_lines.kinds import kind_of
from seg_node.lane_lines.line import Double, LaneLines, LineKind
from seg_node.lane_lines.samples import RoadView, Samples, find_samples
from seg_node.lane_lines.tracker import LineTracker, Motion, TrackOptions
from seg_node.rgbd import lane_ids
from seg_node.transforms import Pose, optical_mount

Array = npt.NDArray[np.uint8]
CLASS_KINDS: Mapping[str, LineKind] = {
    'double_line': 'double',
    'dashed_line': 'dashed',
    'single_line': 'solid',
    'solid_line': 'solid',
}
"""Kinds that the names of a model's classes say by themselves."""


@dataclass(frozen=True)
class EstimatorOptions:
    """classes: ids of the lane markings. kinds: what a class id says of the type, if anything."""

    classes: Sequence[int]
    kinds: Mapping[int, LineKind] = field(default_factory=dict)
    fit: FitOptions = field(default_factory=FitOptions)
    track: TrackOptions = field(default_factory=TrackOptions)


def estimator_options(classes: ClassSet, names: Sequence[str] = ()) -> EstimatorOptions:
    """The estimator for a model's classes; `names` of the markings, empty: those of usual names.

    Raises `ConfigError` where the model has no such class.
    """
    ids = lane_ids(classes, names)
    kinds = {i: CLASS_KINDS[classes.names[i]] for i in ids if classes.names[i] in CLASS_KINDS}
    return EstimatorOptions(ids, kinds)


class LaneLineEstimator:
    """Lane lines of one camera's masks, one after the other. Not thread-safe.

    `samples`, `fitted`: of the last frame, before tracking.
    """

    def __init__(self, options: EstimatorOptions) -> None:
        self._options = options
        self._tracker = LineTracker(options.track)
        self._course: Course | None = None
        self.samples: Samples | None = None
        self.fitted: tuple[FittedLine, ...] = ()

    def step(
        self,
        mask: Array,
        view: RoadView,
        depth_m: npt.NDArray[np.float32] | None = None,
        motion: Motion | None = None,
    ) -> LaneLines:
        """Lines of the next frame.

        mask: uint8 (H, W), class ids. depth_m: float32 (H, W) planar metres, or None for the road
        as the plane z = 0 of `base_link`. motion: of the vehicle since the last frame, or None.
        """
        samples = find_samples(mask, self._options.classes, view, depth_m)
        self.samples = samples
        fitted, course = fit_lines(samples, self._options.fit, self._expected(motion))
        self._course, self.fitted = course, tuple(fitted)
        kinds = [kind_of(f, samples, view.rows, self._options.kinds) for f in fitted]
        lines = self._tracker.step([f.line for f in fitted], kinds, motion)
        return LaneLines(lines)

    def reset(self) -> None:
        """Forget the lines: the drive was cut or its clock jumped back."""
        self._tracker.reset()
        self._course = None

    def _expected(self, motion: Motion | None) -> Course | None:
        if self._course is None or motion is None:
            return self._course
        slope = self._course.slope + self._course.curvature * motion.forward - motion.turn
        return replace(self._course, slope=slope)


def mount_over_ground(
    height_m: float,
    pitch: float = 0.0,
    roll: float = 0.0,
    yaw: float = 0.0,
    forward_m: float = 0.0,
) -> Double:
    """float64 (4, 4), optical frame -> `base_link` on the road, from what people measure.

    height_m: of the lens above the road. Angles in radians about the body's axes (REP-103): pitch
    nose down, roll to the right, yaw to the left. forward_m: lens ahead of `base_link`.
    """
    return optical_mount(Pose.of_euler(forward_m, 0.0, height_m, roll, pitch, yaw))
