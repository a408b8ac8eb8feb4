"""Lane maps as files: PLY and PCD clouds, GeoJSON polylines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg_node.classes import ClassSet
from seg_node.files import write_atomic, write_json
from seg_node.lane_map.polylines import Polyline

_CLOUD = np.dtype(
    [('xyz', '<f4', 3), ('rgb', 'u1', 3), ('class', 'u1'), ('hits', '<f4')], align=False
)
_PCD = np.dtype([('xyz', '<f4', 3), ('rgb', '<u4'), ('class', 'u1'), ('hits', '<f4')], align=False)


def write_ply(path: Path, points: npt.NDArray[np.void], classes: ClassSet) -> None:
    """Binary PLY (Turk, 1994): x, y, z in metres, class colour, class id, hits."""
    body = np.zeros(len(points), _CLOUD)
    body['xyz'] = _xyz(points)
    body['rgb'] = classes.palette_bgr[points['class']][:, ::-1]
    body['class'], body['hits'] = points['class'], points['hits']
    properties = [f'float {axis}' for axis in 'xyz']
    properties += ['uchar red', 'uchar green', 'uchar blue', 'uchar class', 'float hits']
    header = [
        'ply',
        'format binary_little_endian 1.0',
        'comment lane markings in metres; class ids: ' + _names(classes),
        f'element vertex {len(points)}',
        *(f'property {text}' for text in properties),
        'end_header',
    ]
    _write(path, '\n'.join(header) + '\n', body)


def write_pcd(path: Path, points: npt.NDArray[np.void], classes: ClassSet) -> None:
    """Binary PCD 0.7 (Point Cloud Library): x, y, z in metres, rgb, class id, hits."""
    body = np.zeros(len(points), _PCD)
    body['xyz'] = _xyz(points)
    bgr = classes.palette_bgr[points['class']].astype(np.uint32)
    body['rgb'] = (bgr[:, 2] << 16) | (bgr[:, 1] << 8) | bgr[:, 0]
    body['class'], body['hits'] = points['class'], points['hits']
    header = [
        '# .PCD v0.7 - lane markings in metres; class ids: ' + _names(classes),
        'VERSION 0.7',
        'FIELDS x y z rgb class hits',
        'SIZE 4 4 4 4 1 4',
        'TYPE F F F U U F',
        'COUNT 1 1 1 1 1 1',
        f'WIDTH {len(points)}',
        'HEIGHT 1',
        'VIEWPOINT 0 0 0 1 0 0 0',
        f'POINTS {len(points)}',
        'DATA binary',
    ]
    _write(path, '\n'.join(header) + '\n', body)


def write_geojson(path: Path, lines: Sequence[Polyline], classes: ClassSet, frame: str) -> None:
    """Polylines as GeoJSON features (RFC 7946, but in metres of `frame`, not degrees)."""
    features = [
        {
            'type': 'Feature',
            'properties': {
                'class': classes.names[line.class_id]
                if line.class_id < len(classes)
                else str(line.class_id),
                'class_id': line.class_id,
                'length_m': round(line.length_m, 3),
            },
            'geometry': {
                'type': 'LineString',
                'coordinates': [[round(float(v), 4) for v in point] for point in line.points],
            },
        }
        for line in lines
    ]
    collection = {
        'type': 'FeatureCollection',
        'name': 'lane_map',
        'frame_id': frame,
        'units': 'metres',
        'features': features,
    }
    write_json(path, collection)


def _xyz(points: npt.NDArray[np.void]) -> npt.NDArray[np.float32]:
    return np.stack([points['x'], points['y'], points['z']], axis=1).astype(np.float32)


def _names(classes: ClassSet) -> str:
    return ', '.join(f'{i} {name}' for i, name in enumerate(classes.names))


def _write(path: Path, header: str, body: npt.NDArray[np.void]) -> None:
    with write_atomic(path) as temporary, temporary.open('wb') as file:
        file.write(header.encode('ascii', 'replace'))
        file.write(body.tobytes())
