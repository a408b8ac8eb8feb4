"""All files of a lane map at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg_node.classes import LANE, ClassSet
from seg_node.errors import InputError
from seg_node.files import write_image, write_json
from seg_node.lane_map.export import write_geojson, write_pcd, write_ply
from seg_node.lane_map.lane_map import LaneMap
from seg_node.lane_map.polylines import trace
from seg_node.lane_map.topdown import MapView, topdown


@dataclass(frozen=True)
class Saved:
    """What was written."""

    files: tuple[Path, ...]
    points: int
    lines: int
    length_m: float

    def __str__(self) -> str:
        return (
            f'{self.points} points and {self.lines} markings of {self.length_m:.1f} m in '
            f'{self.files[0].parent}'
        )


def save_map(
    lane_map: LaneMap,
    folder: Path,
    *,
    frame_id: str = 'map',
    classes: ClassSet = LANE,
    track: npt.NDArray[np.float64] | None = None,
) -> Saved:
    """Write lane_map.ply, .pcd, .png, .json (scale of the picture) and .geojson into `folder`.

    Raises `InputError` when the map is empty or the folder cannot be written.
    """
    points = lane_map.points()
    if not len(points):
        raise InputError(f'lane map: nothing to save after {lane_map.frames} frames: it is empty')
    lines = trace(points)
    files = [folder / f'lane_map.{suffix}' for suffix in ('ply', 'pcd', 'png', 'json', 'geojson')]
    write_ply(files[0], points, classes)
    write_pcd(files[1], points, classes)
    frame = MapView.around(np.stack([points['x'], points['y']], axis=1).astype(np.float64))
    write_image(files[2], topdown(points, classes, frame, track=track, title=f'frame {frame_id}'))
    length = sum(line.length_m for line in lines)
    write_json(files[3], _scale(frame, frame_id) | {'points': len(points), 'length_m': length})
    write_geojson(files[4], lines, classes, frame_id)
    return Saved(tuple(files), len(points), len(lines), length)


def _scale(frame: MapView, frame_id: str) -> dict[str, object]:
    """Where the picture's pixels lie: x = x0 + column * resolution, y = y0 - row * resolution."""
    return {
        'frame_id': frame_id,
        'metres_per_pixel': 1.0 / frame.scale,
        'x0': frame.low[0] - frame.margin / frame.scale,
        'y0': frame.high[1] + frame.margin / frame.scale,
    }
