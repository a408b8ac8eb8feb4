"""What lane points and the lane map cost: a long drive over a striped road, seen exactly.

`python -m seg_node.lane_map.cost --metres 2000`
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from seg_node.camera.depth import Depth
from seg_node.camera.ground import GroundPlane
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.points import PointOptions, lane_points
from seg_node.camera.rays import RayTable
from seg_node.camera.size import Size
from seg_node.files import write_json
from seg_node.lane_map import Evidence, LaneMap, MapOptions
from seg_node.progress import track
from seg_node.timing import Recorder
from seg_node.transforms import Pose, optical_mount

Double = npt.NDArray[np.float64]
Array = npt.NDArray[np.uint8]
T = TypeVar('T')

CAMERA = Pose.of_euler(1.5, 0.0, 1.6, pitch=0.1)
"""The camera's body on the vehicle."""


@dataclass(frozen=True)
class StripedRoad:
    """Stripes of `width` metres along x at lateral `offsets`; road where |y| < 6; one camera."""

    offsets: tuple[float, ...] = (-1.75, 1.75, 5.25)
    width: float = 0.15
    size: Size = field(default_factory=lambda: Size(640, 360))

    @property
    def intrinsics(self) -> Intrinsics:
        """A pinhole camera of 90 degrees."""
        f, cx, cy = self.size.width / 2, (self.size.width - 1) / 2, (self.size.height - 1) / 2
        k = (f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0)
        p = (f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0)
        return Intrinsics(self.size, k, p)

    @cached_property
    def rays(self) -> RayTable:
        """The camera's rays."""
        return RayTable.of(self.intrinsics)

    @cached_property
    def depth(self) -> Depth:
        """What a depth camera sees: the same from everywhere."""
        plane = GroundPlane.from_rotation(CAMERA.translation[2], optical_mount(CAMERA)[:3, :3])
        return plane.depth(self.rays, 200.0)

    def pose(self, x: float, y: float = 0.0, yaw: float = 0.0) -> Double:
        """float64 (4, 4) optical frame -> map, for a vehicle at (x, y)."""
        placed: Double = Pose.of_euler(x, y, 0.0, yaw=yaw).matrix() @ optical_mount(CAMERA)
        return placed

    def mask(self, pose: Double) -> Array:
        """uint8 (H, W), the truth: 0 off the road, 1 road, 2 stripe."""
        z = self.depth.pixels.reshape(-1)
        local = np.stack([self.rays.x * z, self.rays.y * z, z], axis=1)
        across = local @ pose[1, :3] + pose[1, 3]
        mask = np.zeros(z.size, np.uint8)
        mask[(z > 0) & (np.abs(across) < 6.0)] = 1
        for offset in self.offsets:
            mask[(z > 0) & (np.abs(across - offset) < self.width / 2)] = 2
        return mask.reshape(self.size.height, self.size.width)

    def points(self, mask: Array) -> npt.NDArray[np.void]:
        """Lane points of a mask."""
        options = PointOptions((2,), max_range_m=20.0)
        return lane_points(mask, (mask, mask), self.depth, self.rays, options)

    def view(self, mask: Array) -> Evidence:
        """The mask as evidence."""
        return Evidence(mask, self.intrinsics, (2,), (1,))


def _timed(recorder: Recorder, name: str, work: Callable[[], T]) -> T:
    """Run `work`; book wall time under `name` and the thread's CPU time under `name_cpu`."""
    wall, cpu = time.perf_counter(), time.thread_time()
    result = work()
    recorder.add(f'{name}_cpu', (time.thread_time() - cpu) * 1e3)
    recorder.add(name, (time.perf_counter() - wall) * 1e3)
    return result


def run(metres: float, step: float = 0.5, options: MapOptions | None = None) -> dict[str, Any]:
    """Drive `metres`, a frame every `step` metres; figures."""
    road, lane_map = StripedRoad(), LaneMap(options)
    recorder, count = Recorder(window=None), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for x in track(np.arange(0.0, metres, step), 'drive'):
        pose = road.pose(float(x), 0.3 * np.sin(x / 9), 0.03 * np.cos(x / 9))
        mask = road.mask(pose)
        points = _timed(recorder, 'lane_points', lambda m=mask: road.points(m))  # type: ignore[misc]
        view = road.view(mask)
        _timed(recorder, 'update', lambda a=points, p=pose, v=view: lane_map.update(a, p, v))  # type: ignore[misc]
        count += len(points)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _timed(recorder, 'points_in_memory', lambda: lane_map.points(stored=False))
    _timed(recorder, 'points', lane_map.points)
    return {
        'metres': metres,
        'frames': lane_map.frames,
        'points_a_frame': round(count / max(1, lane_map.frames)),
        'voxels': len(lane_map),
        'voxels_on_disk': lane_map.stored,
        'map_megabytes': round(lane_map.nbytes / 1e6, 2),
        'process_grew_megabytes': round((after - before) / 1e3, 1),
        'milliseconds': recorder.summary(),
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        prog='python -m seg_node.lane_map.cost', description=(__doc__ or '').splitlines()[0]
    )
    parser.add_argument('--metres', type=float, default=2000.0)
    parser.add_argument('--step', type=float, default=0.5, help='metres between frames')
    parser.add_argument('--overflow', type=Path, help='folder for what memory does not hold')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')
    options = parser.parse_args()
    figures = run(options.metres, options.step, MapOptions(overflow=options.overflow))
    for name, value in figures.items():
        print(f'{name}: {value}')
    if options.json:
        write_json(options.json, figures)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
