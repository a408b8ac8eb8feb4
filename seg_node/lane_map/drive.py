"""The lane map of one recorded drive: built, saved, compared with the truth where there is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import Bag
from seg_node.camera.ground import GroundPlane
from seg_node.class_map import load_class_map
from seg_node.classes import LANE, ClassSet
from seg_node.errors import ConfigError
from seg_node.files import write_image
from seg_node.images.frames import decode
from seg_node.lane_map.compare import CompareOptions, Comparison, Sight, TrueMarkings, compare
from seg_node.lane_map.from_bag import (
    MapMasker,
    MapResult,
    MapSteps,
    ids_masker,
    map_bag,
    map_topics,
    message_count,
)
from seg_node.lane_map.lane_map import LaneMap, MapOptions
from seg_node.lane_map.ply import Cloud, read_ply
from seg_node.lane_map.polylines import trace
from seg_node.lane_map.save import save_map
from seg_node.lane_map.topdown import pair
from seg_node.lane_map.truth import read_truth
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter
from seg_node.progress import track
from seg_node.rgbd import lane_ids, road_ids
from seg_node.transforms import Pose, optical_mount


@dataclass(frozen=True)
class DriveMap:
    """What a person asked for; see the verb's help for the meaning and the units.

    `mount`: x, y, z (m), roll, pitch, yaw (degrees) of the camera body on the vehicle (REP-103);
    None: from TF.
    """

    bag: Path
    output: Path
    image: str = ''
    depth: str = ''
    odometry: str = ''
    labels: str = ''
    class_map: str = 'carla_0_9_14'
    mount: tuple[float, ...] | None = None
    options: MapOptions = field(default_factory=MapOptions)
    truth: Path | None = None
    cloud: Path | None = None
    sight_m: float = 10.0
    model: Path | None = None
    run: RunOptions = field(default_factory=RunOptions)


def map_drive(drive: DriveMap, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Map the bag, save, compare; the figures. `say` takes a line for people.

    Raises `SegNodeError` with the reason where there is no map.
    """
    truth = read_truth(drive.truth) if drive.truth else None
    cloud = read_ply(drive.cloud) if drive.cloud else None
    with Bag(drive.bag) as bag:
        topics = map_topics(
            bag, drive.labels or drive.image, drive.depth or 'auto', drive.odometry
        )
        say(f'camera: {topics.choice}')
        steps, classes = _steps(drive)
        total = message_count(bag, topics)

        def watched(messages: Iterable[Any]) -> Iterable[Any]:
            return track(messages, 'lane map', total)

        result = map_bag(bag, topics, steps, LaneMap(drive.options), watched)
        for problem in (*bag.problems, *result.problems.values()):
            say(f'warning: {problem}')
    figures = _saved(drive, result, classes, truth, say)
    if cloud is not None:
        figures['cloud'] = _of_cloud(cloud, result, classes, truth, drive, say)
    return figures


def _steps(drive: DriveMap) -> tuple[MapSteps, ClassSet]:
    masker, classes = _masker(drive)
    mount, ground = None, None
    if drive.mount is not None:
        angles = [math.radians(v) for v in drive.mount[3:]]
        mount = optical_mount(Pose.of_euler(*drive.mount[:3], *angles))
        ground = GroundPlane.from_rotation(drive.mount[2], mount[:3, :3])
    steps = MapSteps(
        masker, lane_ids(classes), road_ids(classes), drive.options.max_range_m, ground, mount
    )
    return steps, classes


def _masker(drive: DriveMap) -> tuple[MapMasker, ClassSet]:
    if drive.labels:
        class_map = load_class_map(drive.class_map)
        if class_map.target != LANE.names:
            raise ConfigError(
                f'--class-map {drive.class_map}: expected one to {", ".join(LANE.names)}'
            )
        return ids_masker(class_map.apply_ids), LANE
    runner = load_model(drive.model, drive.run).runner
    segmenter = Segmenter(runner)

    def masker(message: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        answer = segmenter(decode(message))
        return answer.mask, answer.planes

    return masker, runner.spec.classes


def _saved(
    drive: DriveMap,
    result: MapResult,
    classes: ClassSet,
    truth: TrueMarkings | None,
    say: Callable[[str], object],
) -> dict[str, Any]:
    poses = result.track
    saved = save_map(
        result.lane_map,
        drive.output,
        frame_id=result.frame_id,
        classes=classes,
        track=poses[:, :3, 3],
    )
    figures: dict[str, Any] = {
        'frames': dict(result.counts),
        'points': saved.points,
        'lines': saved.lines,
        'length_m': round(saved.length_m, 2),
        'voxel_bytes': result.lane_map.nbytes,
        'milliseconds': result.recorder.summary(),
    }
    say(str(saved))
    if truth is not None:
        error = compare_points(points_xy(result), result, truth, drive.sight_m)
        figures['lane_map'] = error.as_dict()
        picture = pair(result.lane_map.points(), classes, truth, track=poses[:, :3, 3])
        write_image(drive.output / 'lane_map.png', picture)
        say(_words(error))
    return figures


def _of_cloud(
    cloud: Cloud,
    result: MapResult,
    classes: ClassSet,
    truth: TrueMarkings | None,
    drive: DriveMap,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """Another mapper's markings against this map's, and both against the truth."""
    markings = cloud.of_classes(lane_ids(classes), classes)[:, :2]
    ours = TrueMarkings([line.points for line in trace(result.lane_map.points())])
    to_map = compare_points(markings, result, ours, drive.sight_m)
    say(f'{drive.cloud}: {len(markings)} points of markings; to the lane map: {_words(to_map)}')
    figures: dict[str, Any] = {'points': len(markings), 'to_lane_map': to_map.as_dict()}
    if truth is not None:
        to_truth = compare_points(markings, result, truth, drive.sight_m)
        say(f'{drive.cloud}: to the truth: {_words(to_truth)}')
        figures['to_truth'] = to_truth.as_dict()
    return figures


def _words(error: Comparison) -> str:
    return (
        f'median {error.median_error_m:.3f} m, p95 {error.p95_error_m:.3f} m, '
        f'coverage {error.coverage:.1%} of {error.true_length_m:.0f} m'
    )


def points_xy(result: MapResult) -> npt.NDArray[np.float64]:
    """float64 (N, 2): the map's points seen from above."""
    points = result.lane_map.points()
    return np.stack([points['x'], points['y']], axis=1).astype(np.float64)


def compare_points(
    xy: npt.NDArray[np.float64], result: MapResult, truth: TrueMarkings, sight_m: float
) -> Comparison:
    """Compare points of a map, (N, 2), with the truth within `sight_m` metres of the camera."""
    sight = Sight(result.track, result.horizontal_fov, sight_m)
    return compare(xy, truth, CompareOptions(sight=sight))
