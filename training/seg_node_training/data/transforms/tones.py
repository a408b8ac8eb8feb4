"""Transforms of light and colour and the defects of cameras; targets stay as they are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
import torch
from pydantic import Field
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import Image

from seg_node_training.data.transforms.seeded import (
    U8,
    Chance,
    ChanceStep,
    Range,
    Share,
    Step,
    picture,
    pixels,
)

Quality = Annotated[int, Field(ge=1, le=100)]


def _rgb(image: Image) -> torch.Tensor:
    """v2's functions of colour mean red first; ours are blue first."""
    turned: torch.Tensor = image.flip(0)
    return turned


class Brightness(ChanceStep):
    """Times `factor`, then plus `add` (of 255)."""

    kind: Literal['brightness'] = 'brightness'
    factor: Range = (1.0, 1.0)
    add: Range = (0.0, 0.0)

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[float, float]:
        """(factor, addend)."""
        return float(rng.uniform(*self.factor)), float(rng.uniform(*self.add))

    def on_image(self, image: Image, drawn: tuple[float, float]) -> Image:
        """Scaled, then shifted, within 0..255."""
        factor, add = drawn
        if factor != 1:
            image = F.adjust_brightness(image, factor)
        if add:
            image = Image((image.to(torch.int16) + round(add)).clamp_(0, 255).to(torch.uint8))
        return image


class Contrast(ChanceStep):
    """Differences from the mean grey times `factor`."""

    kind: Literal['contrast'] = 'contrast'
    factor: Range

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> float:
        """The factor."""
        return float(rng.uniform(*self.factor))

    def on_image(self, image: Image, drawn: float) -> Image:
        """Blended with its mean grey, by v2's `adjust_contrast`."""
        return Image(F.adjust_contrast(_rgb(image), drawn).flip(0))


class ColourJitter(ChanceStep):
    """Brightness, contrast, saturation by factors 1 ± the strength, hue by ± `hue` turns.

    The strengths are those of torchvision's `ColorJitter`, in this order. Hue is OpenCV's: v2's
    takes thirty times as long.
    """

    kind: Literal['colour_jitter'] = 'colour_jitter'
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[list[float], float]:
        """([brightness, contrast, saturation], hue in turns)."""
        strengths = (self.brightness, self.contrast, self.saturation)
        factors = [float(rng.uniform(1 - s, 1 + s)) for s in strengths]
        return factors, float(rng.uniform(-self.hue, self.hue))

    def on_image(self, image: Image, drawn: tuple[list[float], float]) -> Image:
        """The three factors in this order, then the hue."""
        factors, turn = drawn
        rgb = _rgb(image)
        kernels = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)
        for kernel, factor in zip(kernels, factors):
            if factor != 1:
                rgb = kernel(rgb, factor)
        if not turn:
            return Image(rgb.flip(0))
        hsv = cv2.cvtColor(pixels(rgb), cv2.COLOR_RGB2HSV_FULL)
        hsv[..., 0] += np.uint8(round(turn * 256) % 256)  # 256 steps are a full turn: wraps
        return picture(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL))


class Tone(Step):
    """Gamma, contrast, exposure and colour gain through one table; saturation by one matrix.

    `exposure`: range of a factor, drawn evenly in its logarithm; `gamma`: log-range of the
    exponent; `contrast`, `saturation`, `colour_gain`: a factor 1 ± this; `grey`: chance of no
    colour at all. The table and the matrix are OpenCV's: the five v2 functions in their place take
    fifteen times as long.
    """

    kind: Literal['tone'] = 'tone'
    exposure: Range = (0.3, 1.4)
    contrast: Share = 0.35
    gamma: float = 0.35
    colour_gain: Share = 0.18
    saturation: Share = 0.5
    grey: Chance = 0.05

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[Any, Any]:
        """(table uint8 (256, 1, 3), matrix float64 (3, 3) over BGR)."""
        x = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
        gain = 1 + rng.uniform(-self.colour_gain, self.colour_gain, 3)
        x = x ** np.exp(rng.uniform(-self.gamma, self.gamma))
        x = (x - 0.45) * (1 + rng.uniform(-self.contrast, self.contrast)) + 0.45
        x = x * np.exp(rng.uniform(*np.log(self.exposure))) * gain
        table = np.clip(x * 255, 0, 255).astype(np.uint8).reshape(256, 1, 3)
        amount = 1 + rng.uniform(-self.saturation, self.saturation)
        amount = 0.0 if rng.random() < self.grey else amount
        mix = np.array([0.114, 0.587, 0.299]) * (1 - amount) + np.eye(3) * amount
        return table, mix

    def on_image(self, image: Image, drawn: tuple[Any, Any]) -> Image:
        """Through the table, then the matrix."""
        table, mix = drawn
        return picture(cv2.transform(cv2.LUT(pixels(image), table), mix))


class Blur(ChanceStep):
    """As often Gaussian, `sigma` pixels, as along an axis (up to 5 x 3), as motion does.

    OpenCV's: v2's `gaussian_blur` takes sixteen times as long.
    """

    kind: Literal['blur'] = 'blur'
    sigma: Range = (0.4, 1.4)

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[float, tuple[int, int]]:
        """(sigma, 0 for a box; (width, height) of the box), pixels."""
        sigma = float(rng.uniform(*self.sigma)) if rng.random() < 0.5 else 0.0
        return sigma, (int(rng.integers(1, 6)), int(rng.integers(1, 4)))

    def on_image(self, image: Image, drawn: tuple[float, tuple[int, int]]) -> Image:
        """Blurred by one of the two."""
        sigma, box = drawn
        array = pixels(image)
        blurred = cv2.GaussianBlur(array, (0, 0), sigma) if sigma else cv2.blur(array, box)
        return picture(blurred)


class Noise(ChanceStep):
    """Gaussian noise, each channel on its own, `sigma` of 255.

    OpenCV's, because v2's `gaussian_noise` draws from torch's global generator.
    """

    kind: Literal['noise'] = 'noise'
    sigma: Range = (1.0, 10.0)

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[float, int]:
        """(sigma, seed of the grain)."""
        return float(rng.uniform(*self.sigma)), int(rng.integers(2**31))

    def on_image(self, image: Image, drawn: tuple[float, int]) -> Image:
        """With the grain added, within 0..255."""
        sigma, seed = drawn
        array = pixels(image)
        grain = np.empty(array.shape, np.int16)
        cv2.setRNGSeed(seed)  # of this thread
        cv2.randn(grain, (0, 0, 0), (sigma,) * 3)
        return picture(np.asarray(cv2.add(array, grain, dtype=cv2.CV_8U), np.uint8))


class Jpeg(ChanceStep):
    """Through JPEG of a quality from the range."""

    kind: Literal['jpeg'] = 'jpeg'
    quality: tuple[Quality, Quality] = (25, 90)

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> int:
        """The quality, 1..100."""
        return int(rng.integers(self.quality[0], self.quality[1] + 1))

    def on_image(self, image: Image, drawn: int) -> Image:
        """Compressed and decoded again."""
        return Image(F.jpeg(_rgb(image), drawn).flip(0))


class Shadow(ChanceStep):
    """A polygon darkened (or, seldom, lit up), often with a soft edge."""

    kind: Literal['shadow'] = 'shadow'

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[U8, float]:
        """(cover uint8 (H, W), how much of the light it takes; below 0 it adds some)."""
        height, width = inputs[0].shape[-2:]
        small = np.zeros((max(1, height // 4), max(1, width // 4)), np.uint8)
        points = rng.uniform((-0.2, 0.2), (1.2, 1.1), (int(rng.integers(3, 7)), 2))
        points = (points * (width // 4, height // 4)).astype(np.int32)
        cv2.fillPoly(small, [points], 255)
        if rng.random() < 0.7:
            small = cv2.blur(small, (int(rng.integers(2, 9)),) * 2)
        strength = rng.uniform(0.3, 0.75) if rng.random() < 0.8 else -rng.uniform(0.15, 0.5)
        return cv2.resize(small, (width, height)), float(strength)

    def on_image(self, image: Image, drawn: tuple[U8, float]) -> Image:
        """Darker, or lighter, where it is covered."""
        cover, strength = drawn
        # Factors 0.25 to 1.5 as bytes of 1/170.
        table = np.clip((1 - strength * np.arange(256) / 255) * 170, 0, 255).round()
        factor = cv2.cvtColor(cv2.LUT(cover, table.astype(np.uint8)), cv2.COLOR_GRAY2BGR)
        return picture(np.asarray(cv2.multiply(pixels(image), factor, scale=1 / 170), np.uint8))
