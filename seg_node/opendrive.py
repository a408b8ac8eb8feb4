"""What an OpenDRIVE map says of its markings, in its own axes, which are ROS's.

The simulator's reader does the work and is loaded only here, when there is such a map.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError

if TYPE_CHECKING:
    from seg_node_sim.maps.opendrive import OpenDrive

Double = npt.NDArray[np.float64]
_FLIP = np.array([1.0, -1.0])
"""The simulator's y points right."""


@dataclass(frozen=True)
class MarkedEdge:
    """A marked edge of a lane with its gaps: float64 (N, 2) metres, OpenDRIVE's type with `_` for
    a space, and what tells it from others: road, section, lane.
    """

    key: str
    points: Double
    kind: str


def painted_markings(path: Path) -> tuple[list[Double], list[Double]]:
    """Middle lines of the painted stripes and outlines of the areas, float64 (N, 2) metres each.

    Raises `InputError` for what cannot be read.
    """
    from seg_node_sim.maps.markings import markings

    marks = markings(_parsed(path))
    lines = [mark.points * _FLIP for mark in marks if mark.width > 0]
    return lines, [mark.points * _FLIP for mark in marks if mark.width == 0]


def marked_edges(path: Path) -> list[MarkedEdge]:
    """The marked edges of all lanes. Raises `InputError`, also where there is none."""
    from seg_node_sim.maps.markings import lane_boundaries

    edges = [
        MarkedEdge('/'.join(map(str, edge.key)), edge.points * _FLIP, edge.kind)
        for edge in lane_boundaries(_parsed(path))
    ]
    if not edges:
        raise InputError(f'{path}: expected an OpenDRIVE map with lane marks, found none')
    return edges


def _parsed(path: Path) -> OpenDrive:
    from seg_node_sim.maps.opendrive import parse
    from seg_node_sim.maps.towns import load_town, town_names

    if not path.exists() and str(path) in town_names():
        return parse(load_town(str(path)).xodr, str(path))
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'not UTF-8'
        raise InputError(f'{path}: cannot be read: {reason}') from None
    return parse(text, path.stem)
