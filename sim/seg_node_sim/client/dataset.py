"""The files of a capture, in our layout and in the predecessor's.

Ours: `images/NAME.jpg`, `labels/NAME.png` (class ids of the lane model, 255 unknown),
`lane_types/NAME.png` (six classes), `train.txt`, `val.txt`, `test.txt` (names), `metadata.jsonl`.
The predecessor's: `rgb/SPLIT/NAME.png`, `seg/SPLIT/NAME.png` (palette colours), `classes.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_node.class_map import load_class_map
from seg_node.errors import InputError
from seg_node.files import write_atomic, write_json
from seg_node_sim.client import images
from seg_node_sim.client.drive import Tick
from seg_node_sim.client.lane_types import LaneTypes
from seg_node_sim.client.plan import SPLITS, CaptureOptions, DrivePlan, drive_file
from seg_node_sim.client.tags import Palette, class_map_name
from seg_node_sim.client.weather import describe

_PNG_SPEED = [cv2.IMWRITE_PNG_COMPRESSION, 3]


class DatasetWriter:
    """Writes frames of one drive. `tags`: numbering of the server, `new` or `old`."""

    def __init__(
        self, folder: Path, options: CaptureOptions, tags: str, lane_types: LaneTypes | None
    ) -> None:
        self._folder = folder
        self._options = options
        self._classes = load_class_map(class_map_name(tags))
        self._palette = Palette(options.classes, tags)
        self._lane_types = lane_types

    def write(self, drive: DrivePlan, number: int, tick: Tick) -> dict[str, Any]:
        """All files of one frame; its line for `metadata.jsonl`."""
        spec, rig = drive.camera, drive.request.rig
        name = f'{drive.name}_{number:05d}'
        bgr = images.bgr(tick.images[spec.id])
        truth = rig.twin(spec, 'semantic')
        assert truth is not None
        tags = images.semantic(tick.images[truth.id])
        written: dict[str, str] = {}
        if self._options.layout in ('ours', 'both'):
            written['image'] = f'images/{name}.{self._options.image_format}'
            written['label'] = f'labels/{name}.png'
            quality = [cv2.IMWRITE_JPEG_QUALITY, self._options.jpeg_quality]
            self._save(
                written['image'], bgr,
                quality if self._options.image_format == 'jpg' else _PNG_SPEED,
            )  # fmt: skip
            self._save(written['label'], self._classes.apply_ids(tags), _PNG_SPEED)
        if self._options.layout in ('predecessor', 'both'):
            written['rgb'] = f'rgb/{drive.split}/{name}.png'
            written['seg'] = f'seg/{drive.split}/{name}.png'
            self._save(written['rgb'], bgr, _PNG_SPEED)
            self._save(written['seg'], self._palette.paint(tags), _PNG_SPEED)
        if self._lane_types is not None:
            written['lane_types'] = f'lane_types/{name}.png'
            range_camera = rig.twin(spec, 'depth')
            assert range_camera is not None
            depth = images.depth_metres(tick.images[range_camera.id])
            pose = tick.camera_poses[spec.id]
            types = self._lane_types.label(spec, pose, tick.ego.pose, tags, depth)
            self._save(written['lane_types'], types, _PNG_SPEED)
        return _metadata(drive, name, tick) | written

    def finish_drive(self, drive: DrivePlan, lines: list[dict[str, Any]]) -> None:
        """Record that the drive is complete; only now does a resumed capture leave it out."""
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        with write_atomic(drive_file(self._folder, drive)) as temporary:
            temporary.write_text(text, encoding='utf-8')

    def _save(self, path: str, image: np.ndarray, parameters: list[int]) -> None:
        with write_atomic(self._folder / path) as temporary:
            if not cv2.imwrite(str(temporary), image, parameters):
                raise InputError(f'{self._folder / path}: OpenCV cannot write it')


def clear_temporaries(folder: Path) -> None:
    """Remove what a capture that was killed in the middle of a file has left beside it."""
    for path in folder.rglob('.*-*'):
        if path.is_file():
            path.unlink()


def assemble(folder: Path, options: CaptureOptions, drives: tuple[DrivePlan, ...]) -> int:
    """Write the lists of all finished drives; the number of their frames.

    Called at the end, complete or interrupted: what is listed is whole.
    """
    lines: list[str] = []
    for drive in drives:
        file = drive_file(folder, drive)
        if file.is_file():
            lines += file.read_text(encoding='utf-8').splitlines()
    if options.layout in ('predecessor', 'both'):
        write_json(folder / 'classes.json', Palette(options.classes, 'new').to_json())
    with write_atomic(folder / 'metadata.jsonl') as temporary:
        temporary.write_text(''.join(line + '\n' for line in lines), encoding='utf-8')
    frames = [json.loads(line) for line in lines]
    for split in SPLITS:
        names = [frame['name'] for frame in frames if frame['split'] == split]
        with write_atomic(folder / f'{split}.txt') as temporary:
            temporary.write_text(''.join(f'{name}\n' for name in names), encoding='utf-8')
    return len(frames)


def _metadata(drive: DrivePlan, name: str, tick: Tick) -> dict[str, Any]:
    spec = drive.camera
    k = images.intrinsic_matrix(spec.image_size_x, spec.image_size_y, spec.fov)
    return {
        'name': name,
        'split': drive.split,
        'town': drive.town,
        'drive': drive.index,
        'seed': drive.request.seed,
        'weather': asdict(drive.weather),
        'conditions': describe(drive.weather),
        'time_s': round(tick.elapsed_s, 6),
        'width': spec.image_size_x,
        'height': spec.image_size_y,
        'fov': spec.fov,
        'k': [float(v) for v in k.ravel()],
        'camera': _rounded(asdict(tick.camera_poses[spec.id])),
        'ego': _rounded(asdict(tick.ego.pose)),
        'speed': round(float(np.linalg.norm(tick.ego.velocity)), 4),
    }


def _rounded(pose: dict[str, float]) -> dict[str, float]:
    """CARLA's axes, metres and degrees."""
    return {name: round(value, 5) for name, value in pose.items()}
