"""Transforms that put something into the scene, and into its labels."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import torch
from torchvision.tv_tensors import Image, Mask

from seg_node_training.data.synthetic_paint import paint_markings
from seg_node_training.data.transforms.seeded import U8, ChanceStep, picture, pixels


class _Painted(ChanceStep):
    """Draws the whole new pair; targets of ids (one plane) stay as they are."""

    def paint(self, image: U8, target: U8, rng: np.random.Generator) -> tuple[U8, U8]:
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[U8, U8]:
        image, target = pixels(inputs[0]), inputs[1].numpy()
        return self.paint(image, target, rng) if len(target) == 2 else (image, target)

    def on_image(self, image: Image, drawn: tuple[U8, U8]) -> Image:
        return picture(drawn[0])

    def on_mask(self, mask: Mask, drawn: tuple[U8, U8]) -> Mask:
        return Mask(torch.from_numpy(drawn[1]))


class Markings(_Painted):
    """Synthetic markings painted on a road known well enough (`synthetic_paint`)."""

    kind: Literal['markings'] = 'markings'

    def paint(self, image: U8, target: U8, rng: np.random.Generator) -> tuple[U8, U8]:
        """The pair with markings; as it came where the road is not known well enough."""
        return paint_markings(image, target, rng)


class Bonnet(_Painted):
    """The own vehicle's bonnet (or dashboard) over the bottom of the picture: background.

    A smooth, vaguely mirroring body: a colour, a gradient, the sky upside down.
    """

    kind: Literal['bonnet'] = 'bonnet'

    def paint(self, image: U8, target: U8, rng: np.random.Generator) -> tuple[U8, U8]:
        """The pair with a bonnet; codes under it are 0."""
        height, width = image.shape[:2]
        top = rng.uniform(0.6, 0.97) * height
        x = np.linspace(-1, 1, width) - rng.uniform(-0.25, 0.25)
        edge = top + rng.uniform(-0.02, 0.25) * height * np.abs(x) ** rng.uniform(1.5, 5)
        dark = np.full(3, rng.uniform(0, 60))
        colour = rng.uniform(0, 255, 3) if rng.random() < 0.5 else dark
        slope, gloss = rng.uniform(-0.5, 0.5), rng.uniform(0, 0.6)
        first = min(height, max(0, int(edge.min())))
        rows = np.arange(first, height)[:, None]
        inside = rows > edge[None]
        shade = 1 + slope * (rows - top) / height
        mirrored = cv2.blur(image[::-1][first:], (9, 9)).astype(np.float32)
        body = (1 - gloss) * colour * shade[..., None] + gloss * mirrored
        covered, labelled = image.copy(), target.copy()
        covered[first:][inside] = np.clip(body, 0, 255).astype(np.uint8)[inside]
        labelled[:, first:][:, inside] = 0
        return covered, labelled
