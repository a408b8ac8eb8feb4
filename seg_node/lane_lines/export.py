"""Lane lines of frames as files: our own JSON, TuSimple's and OpenLane's."""

from __future__ import annotations

from typing import Any

import numpy as np

from seg_node.camera.intrinsics import Intrinsics
from seg_node.lane_lines.line import Double, LaneLine, LaneLines, LineKind
from seg_node.lane_lines.samples import RoadView

TUSIMPLE_ROWS = 56
"""Rows of a TuSimple label: every tenth from 160 to 710 of 720."""
_OPENLANE_CATEGORIES: dict[LineKind, int] = {'unknown': 0, 'dashed': 1, 'solid': 2, 'double': 6}
"""OpenLane: 1 white-dash, 2 white-solid, 6 double-white-solid; colours are not told apart here."""
_OPENLANE_ATTRIBUTES = {'left_2': 1, 'left_1': 2, 'right_1': 3, 'right_2': 4}


def as_record(name: str, lines: LaneLines) -> dict[str, Any]:
    """One frame: polylines and centre line in `base_link`, metres; `place` from the ego lane."""
    places = lines.places()
    return {
        'frame': name,
        'lines': [_line_record(line, places[i]) for i, line in enumerate(lines.lines)],
        'ego_lane': _rounded(lines.centre()),
    }


def _line_record(line: LaneLine, place: str) -> dict[str, Any]:
    points = line.points()
    return {
        'id': line.track,
        'place': place,
        'type': line.kind,
        'confidence': round(line.confidence, 3),
        'range_m': [round(line.near, 2), round(line.far, 2)],
        'points': _rounded(points),
        'deviation_m': [round(float(d), 4) for d in line.deviation(points[:, 0])],
    }


def project_line(line: LaneLine, view: RoadView, intrinsics: Intrinsics) -> Double:
    """float64 (N, 2): pixels of a line's polyline every half metre, those before the camera."""
    points = line.points(0.5)
    back = np.linalg.inv(view.mount)
    optical = points @ back[:3, :3].T + back[:3, 3]
    optical = optical[optical[:, 2] > 0.1]
    k = np.asarray(intrinsics.folded().k, np.float64).reshape(3, 3)
    pixels = optical @ k.T
    result: Double = pixels[:, :2] / pixels[:, 2:]
    return result


def tusimple(
    name: str, lines: LaneLines, view: RoadView, intrinsics: Intrinsics, run_ms: float = 0.0
) -> dict[str, Any]:
    """One line of a TuSimple label file: column of each lane at fixed rows, -2 where it is not.

    Format: TuSimple lane detection challenge, `doc/lane_detection/readme.md`; rows are scaled to
    the picture's height. Lanes from left to right.
    """
    size = intrinsics.folded().size
    rows = np.round(np.linspace(160, 710, TUSIMPLE_ROWS) * size.height / 720).astype(int)
    lanes = []
    for line in lines.lines:
        pixels = project_line(line, view, intrinsics)
        order = np.argsort(pixels[:, 1])
        columns = np.interp(rows, pixels[order, 1], pixels[order, 0], left=np.nan, right=np.nan)
        inside = (columns >= 0) & (columns < size.width)
        lanes.append([round(float(c)) if ok else -2 for c, ok in zip(columns, inside)])
    return {'raw_file': name, 'lanes': lanes, 'h_samples': rows.tolist(), 'run_time': run_ms}


def openlane(
    name: str, lines: LaneLines, view: RoadView, intrinsics: Intrinsics
) -> dict[str, Any]:
    """One frame in OpenLane's form (Chen et al., "PersFormer", 2022; OpenLane v1 README).

    `xyz` is in the camera's optical frame, metres, 3 x N; `uv` in pixels, 2 x N; `extrinsic` is
    camera to vehicle.
    """
    back = np.linalg.inv(view.mount)
    places = lines.places()
    records = []
    for index, line in enumerate(lines.lines):
        points = line.points(0.5) @ back[:3, :3].T + back[:3, 3]
        points = points[points[:, 2] > 0.1]
        records.append({
            'category': _OPENLANE_CATEGORIES[line.kind],
            'visibility': [1.0] * len(points),
            'uv': _rounded(project_line(line, view, intrinsics).T),
            'xyz': _rounded(points.T),
            'attribute': _OPENLANE_ATTRIBUTES.get(places[index], 0),
            'track_id': line.track,
        })  # fmt: skip
    return {
        'file_path': name,
        'intrinsic': np.asarray(intrinsics.folded().k).reshape(3, 3).tolist(),
        'extrinsic': view.mount.tolist(),
        'lane_lines': records,
    }


def _rounded(values: Double) -> list[Any]:
    rounded: list[Any] = np.round(np.asarray(values, np.float64), 3).tolist()
    return rounded
