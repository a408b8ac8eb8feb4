"""True markings from files: GeoJSON in metres of the map, or OpenDRIVE."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from seg_node.errors import InputError
from seg_node.lane_map.compare import TrueMarkings
from seg_node.opendrive import painted_markings


def read_truth(path: Path) -> TrueMarkings:
    """True markings of a GeoJSON file (LineString, Polygon; metres) or an OpenDRIVE map."""
    if path.suffix == '.xodr':
        return TrueMarkings(*painted_markings(path))
    try:
        features = json.loads(path.read_text(encoding='utf-8'))['features']
        shapes = [feature['geometry'] for feature in features]
        lines = [np.array(s['coordinates'], float) for s in shapes if s['type'] == 'LineString']
        areas = [np.array(s['coordinates'][0], float) for s in shapes if s['type'] == 'Polygon']
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(f'{path}: expected GeoJSON with LineString and Polygon') from None
    return TrueMarkings(lines, areas)
