"""CameraInfo messages: finite intrinsics and rays of the picture's size, or a `FrameError`."""

from __future__ import annotations

import random
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
from fuzzing import NUMBERS, TEXTS, Target, simple

from seg_node.camera.camera_info import calibration_of, intrinsics_of
from seg_node.camera.ground import GroundPlane
from seg_node.camera.rays import RayTable
from seg_node.camera.size import Size
from seg_node.errors import FrameError

_MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant', 'kannala_brandt', 'ftheta', *TEXTS)
_COUNTS = (0, 1, 2, 3, 4, 5, 6, 8, 12, 14, 20)
_UNSIGNED = (0, 0, 1, 2, 3, 64, 1 << 16, (1 << 32) - 1)
_FLOATS = list(map(float, NUMBERS))


def _spoiled(values: list[float], rng: random.Random) -> list[float]:
    for _ in range(rng.choice((0, 0, 1, 2))):
        if values:
            values[rng.randrange(len(values))] = rng.choice(_FLOATS)
    return values[: rng.choice((len(values), len(values), len(values) - 1, 0))]


def _message(rng: random.Random) -> Any:
    focal = rng.uniform(20.0, 90.0)
    k = [focal, 0.0, 31.5, 0.0, focal, 23.5, 0.0, 0.0, 1.0]
    width, height = (64, 48) if rng.random() < 0.8 else (rng.choice(_UNSIGNED),) * 2
    roi = [rng.choice(_UNSIGNED) if rng.random() < 0.1 else 0 for _ in range(4)]
    small = rng.choice((0.01, 0.1, 1.0))
    return SimpleNamespace(
        width=width,
        height=height,
        distortion_model=rng.choice(_MODELS),
        d=_spoiled([rng.gauss(0.0, small) for _ in range(rng.choice(_COUNTS))], rng),
        k=_spoiled(k, rng),
        p=_spoiled([*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0], rng),
        binning_x=rng.choice(_UNSIGNED) if rng.random() < 0.1 else 0,
        binning_y=rng.choice(_UNSIGNED) if rng.random() < 0.1 else 0,
        roi=SimpleNamespace(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3]),
    )


def _case(rng: random.Random) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error', RuntimeWarning)  # numpy's lines on a node's stderr
        _answer(rng)


def _answer(rng: random.Random) -> None:
    message = _message(rng)
    mask = Size(rng.choice((16, 64)), rng.choice((12, 48)))
    try:
        scaled = intrinsics_of(message).resized(mask)
        assert scaled.size == mask and len(scaled.k) == 9 and len(scaled.p) == 12
        calibration = calibration_of(message).resized(mask)
        rays = RayTable.of(calibration.intrinsics, calibration.distortion)
        assert rays.size == mask and rays.x.shape == rays.y.shape == (mask.width * mask.height,)
        assert rays.x.dtype == rays.y.dtype == np.float32
        depth = GroundPlane(1.5).depth(rays, 30.0)
        metres = depth.metres(np.arange(mask.width * mask.height))
        assert not np.isinf(metres).any() and (np.nan_to_num(metres) <= 30.0).all()
    except FrameError as error:
        assert error.cause and '\n' not in str(error)


TARGET = Target('camera_info', simple(_case), short=600)
