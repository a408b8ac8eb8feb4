"""A camera's angles by its lines, found while it drives and kept from one run to the next."""

from __future__ import annotations

import json
import math
from pathlib import Path

from seg_node.errors import InputError
from seg_node.files import write_json
from seg_node.lane_lines.calibrate import CameraAngles, SelfCalibration
from seg_node.lane_lines.stripes import Stripes

_LOOK_EVERY = 30
"""Frames between two looks at the answer, which takes the median of all of them."""
_EVERY, _MOST = 3, 600
"""Every third frame, and so many of them: a minute at 30 Hz. Neighbours see the same road."""
_AS_GOOD = 100
"""Frames of this run that count more than what an earlier run left: cameras get moved."""


class KeptAngles:
    """The angles of the camera `name`, in the file `path`; None: not kept. Not thread-safe.

    `angles`: what is known by now. `problem`: why the file could not be read or written, or ''.
    """

    def __init__(self, path: Path | None, name: str) -> None:
        self._path, self._name = path, name
        self._calibration = SelfCalibration(most=_MOST)
        self._frame = 0
        self._seen = 0
        self._written = 0
        self.problem = ''
        self.angles: CameraAngles | None = self._read()
        self.from_file = self.angles is not None

    @property
    def seen(self) -> int:
        """Frames with two straight lines in this run."""
        return self._calibration.count

    def wants(self) -> bool:
        """Whether the next frame is to be added: all at first, later every third of a minute."""
        self._frame += 1
        if self._calibration.full:
            return False
        return self.angles is None or self._frame % _EVERY == 0

    def add(self, stripes: Stripes, turn_per_m: float) -> bool:
        """One frame's stripes, as for `SelfCalibration.add`; True where `angles` changed."""
        self._calibration.add(stripes, turn_per_m)
        if self.seen < self._seen + _LOOK_EVERY:
            return False
        self._seen = self.seen
        angles = self._calibration.result
        if angles is None or (self.from_file and angles.frames < _AS_GOOD):
            return False
        self.angles, self.from_file = angles, False
        if self._seen >= 2 * self._written:  # 30, 60, 120, … frames
            self._write(angles)
        return True

    def _read(self) -> CameraAngles | None:
        if self._path is None or not self._path.exists():
            return None
        try:
            kept = json.loads(self._path.read_text(encoding='utf-8'))
            if kept['camera'] != self._name:
                self.problem = f'{self._path}: of camera {kept["camera"]}, not {self._name}'
                return None
            return CameraAngles.from_dict(kept)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.problem = f'{self._path}: expected angles of a camera ({error})'
            return None

    def _write(self, angles: CameraAngles) -> None:
        self._written = self._seen
        if self._path is None:
            return
        try:
            write_json(self._path, {'camera': self._name, **angles.as_dict()})
            self.problem = ''
        except (InputError, OSError) as error:
            self.problem = str(error)


def disagreement(angles: CameraAngles, pitch: float) -> str:
    """A line where the lines say another pitch (rad) than the one in use; '' where they agree."""
    away = abs(angles.pitch - pitch)
    if away <= max(math.radians(1.0), 3.0 * angles.pitch_deviation):
        return ''
    return (
        f'camera pitch: {math.degrees(pitch):.1f} degrees is in use, the lines meet as under '
        f'{math.degrees(angles.pitch):.1f}'
    )
