"""Augmentation in OpenCV on uint8: a warp, a colour table and a few defects, about 2 ms a picture.

torchvision's v2 transforms do the same in 10-20 ms a picture on one core, which would starve the
training step of a network this small.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from seg_node_training.data.synthetic_paint import paint_markings
from seg_node_training.losses import UNKNOWN

U8 = npt.NDArray[np.uint8]


class Augmentation(BaseModel):
    """Strengths of the augmentation; chances are probabilities a picture, 0 switches off."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    height: int = 256
    width: int = 448
    zoom: tuple[float, float] = (0.6, 1.75)
    """Side of the window over the output's side, in pixels of the cached picture."""
    shift: float = 0.05
    """Sideways play of the window beyond the picture, over the picture's width."""
    aspect: float = 0.25
    """Log-range of the window's extra stretch, each way."""
    flip: float = 0.5
    rotation: float = 4.0
    """Degrees each way."""
    perspective: float = 0.06
    """Largest shift of a corner, over the window's side."""
    exposure: tuple[float, float] = (0.3, 1.4)
    """Range of the factor on brightness, drawn evenly in its logarithm."""
    contrast: float = 0.35
    gamma: float = 0.35
    colour_gain: float = 0.18
    saturation: float = 0.5
    grey: float = 0.05
    shadow: float = 0.35
    blur: float = 0.2
    noise: float = 0.3
    jpeg: float = 0.25
    bonnet: float = 0.0
    """Chance of an own bonnet, at the bottom, which is no road."""
    markings: float = 0.0
    """Chance of painting synthetic markings on a road known well enough."""


def _window(shape: tuple[int, int], a: Augmentation, rng: np.random.Generator) -> npt.NDArray:
    """Homography from the cached picture, size `shape` (H, W), to the output."""
    height, width = shape
    zoom = np.exp(rng.uniform(*np.log(a.zoom)))
    stretch = np.exp(rng.uniform(-a.aspect, a.aspect) / 2)
    half_w, half_h = a.width * zoom * stretch / 2, a.height * zoom / stretch / 2
    # The window may hang over the edge by a tenth: the border is then unknown, seldom much.
    slack_x, slack_y = abs(width / 2 - half_w) + a.shift * width, abs(height / 2 - half_h)
    centre_x = width / 2 + rng.uniform(-slack_x, slack_x)
    centre_y = height / 2 + rng.uniform(-slack_y, slack_y)
    angle = np.deg2rad(rng.uniform(-a.rotation, a.rotation))
    corners = np.array(
        [[-half_w, -half_h], [half_w, -half_h], [half_w, half_h], [-half_w, half_h]]
    )
    shift = rng.uniform(-a.perspective, a.perspective, (4, 2)) * (half_w, half_h)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = (corners + shift) @ turn.T + (centre_x, centre_y)
    if rng.random() < a.flip:
        source = source[[1, 0, 3, 2]]
    wide, high = a.width, a.height
    goal = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32) - 0.5
    return cv2.getPerspectiveTransform(source.astype(np.float32) - 0.5, goal)


def _tone(image: U8, a: Augmentation, rng: np.random.Generator) -> U8:
    """Brightness, contrast, gamma and colour gain through one table; saturation by a matrix."""
    x = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gain = 1 + rng.uniform(-a.colour_gain, a.colour_gain, 3)
    x = x ** np.exp(rng.uniform(-a.gamma, a.gamma))
    x = (x - 0.45) * (1 + rng.uniform(-a.contrast, a.contrast)) + 0.45
    x = x * np.exp(rng.uniform(*np.log(a.exposure))) * gain
    table = np.clip(x * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table.reshape(256, 1, 3))
    amount = 0.0 if rng.random() < a.grey else 1 + rng.uniform(-a.saturation, a.saturation)
    mix = np.array([0.114, 0.587, 0.299]) * (1 - amount) + np.eye(3) * amount
    return cv2.transform(image, mix)


def _shadow(image: U8, rng: np.random.Generator) -> U8:
    """Darken (or, seldom, light up) a polygon with a soft edge."""
    height, width = image.shape[:2]
    small = np.zeros((height // 4, width // 4), np.uint8)
    points = rng.uniform((-0.2, 0.2), (1.2, 1.1), (int(rng.integers(3, 7)), 2))
    points = (points * (width // 4, height // 4)).astype(np.int32)
    cv2.fillPoly(small, [points], 255)
    if rng.random() < 0.7:
        small = cv2.blur(small, (int(rng.integers(2, 9)),) * 2)
    strength = rng.uniform(0.3, 0.75) if rng.random() < 0.8 else -rng.uniform(0.15, 0.5)
    factor = 1 - strength * cv2.resize(small, (width, height)).astype(np.float32) / 255
    return np.clip(image * factor[..., None], 0, 255).astype(np.uint8)


def _bonnet(image: U8, target: U8, rng: np.random.Generator) -> tuple[U8, U8]:
    """The own vehicle's bonnet (or dashboard) over the bottom of the picture: background.

    A smooth, vaguely mirroring body: a colour, a gradient, the sky upside down.
    """
    height, width = image.shape[:2]
    top = rng.uniform(0.6, 0.97) * height
    x = np.linspace(-1, 1, width) - rng.uniform(-0.25, 0.25)
    edge = top + rng.uniform(-0.02, 0.25) * height * np.abs(x) ** rng.uniform(1.5, 5)
    rows = np.arange(height)[:, None]
    inside = rows > edge[None]
    dark = np.full(3, rng.uniform(0, 60))
    colour = rng.uniform(0, 255, 3) if rng.random() < 0.5 else dark
    shade = 1 + rng.uniform(-0.5, 0.5) * (rows - top) / height
    mirrored = cv2.blur(image[::-1], (9, 9)).astype(np.float32)
    gloss = rng.uniform(0, 0.6)
    body = (1 - gloss) * colour * shade[..., None] + gloss * mirrored
    covered, labelled = image.copy(), target.copy()
    covered[inside] = np.clip(body, 0, 255).astype(np.uint8)[inside]
    labelled[:, inside] = 0
    return covered, labelled


def _defects(image: U8, a: Augmentation, rng: np.random.Generator) -> U8:
    if rng.random() < a.blur:
        if rng.random() < 0.5:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))
        else:
            image = cv2.blur(image, (int(rng.integers(1, 6)), int(rng.integers(1, 4))))
    if rng.random() < a.noise:
        sigma = rng.uniform(1, 10)
        grain = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(grain, (0, 0, 0), (sigma,) * 3)
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    if rng.random() < a.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        image = cv2.imdecode(cv2.imencode('.jpg', image, quality)[1], cv2.IMREAD_COLOR)
    return image


def augment(image: U8, target: U8, a: Augmentation, rng: np.random.Generator) -> tuple[U8, U8]:
    """One augmented pair.

    `image`: uint8 (H, W, 3) BGR; `target`: uint8 (K, H, W) codes with 255 unknown. Gives the
    same kinds at size `a.height` x `a.width`; what lies outside the picture is unknown.
    """
    if rng.random() < a.markings and len(target) == 2:
        image, target = paint_markings(image, target, rng)
    if rng.random() < a.bonnet and len(target) == 2:
        image, target = _bonnet(image, target, rng)
    matrix = _window(image.shape[:2], a, rng)
    size = (a.width, a.height)
    border = tuple(float(v) for v in rng.integers(0, 256, 3)) if rng.random() < 0.5 else (0.0,) * 3
    image = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=border)
    planes = [
        cv2.warpPerspective(p, matrix, size, flags=cv2.INTER_NEAREST, borderValue=UNKNOWN)
        for p in target
    ]
    image = _tone(image, a, rng)
    if rng.random() < a.shadow:
        image = _shadow(image, rng)
    return _defects(image, a, rng), np.stack(planes)
