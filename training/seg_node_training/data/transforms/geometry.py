"""Transforms that move pixels: masks by nearest neighbour, what lies outside is unknown."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import Image, Mask

from seg_node.camera.geometry import PAD, Geometry
from seg_node.camera.size import Size
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.data.transforms.seeded import (
    U8,
    Chance,
    ChanceStep,
    Pixels,
    Range,
    Share,
    Step,
    picture,
    pixels,
)

Policy = Literal['stretch', 'letterbox', 'crop']


def resize_pair(image: U8, target: U8, size: Size, policy: Policy) -> tuple[U8, U8]:
    """Picture uint8 (H, W, 3) and target uint8 (K, H, W) at another size.

    `stretch` and `letterbox` by the runtime's own geometry, with unknown under the bars; `crop`
    fills the size and cuts off, evenly, what is too long.
    """
    if policy == 'crop':
        image, target = _cut_to_shape(image, target, size)
    kind: Literal['stretch', 'letterbox'] = 'letterbox' if policy == 'letterbox' else 'stretch'
    shrinks = image.shape[0] > size.height or image.shape[1] > size.width
    geometry = Geometry.fit(Size.of(image), size, kind, 'area' if shrinks else 'linear')
    planes = np.full((len(target), size.height, size.width), UNKNOWN, np.uint8)
    inner = (geometry.inner.width, geometry.inner.height)
    for plane, into in zip(target, planes):
        geometry.crop(into)[...] = cv2.resize(plane, inner, interpolation=cv2.INTER_NEAREST_EXACT)
    return geometry.to_network(image), planes


def _cut_to_shape(image: U8, target: U8, size: Size) -> tuple[U8, U8]:
    height, width = image.shape[:2]
    scale = min(width / size.width, height / size.height)
    wide, high = round(size.width * scale), round(size.height * scale)
    left, top = (width - wide) // 2, (height - high) // 2
    rows, columns = slice(top, top + high), slice(left, left + wide)
    return image[rows, columns], target[:, rows, columns]


class Resize(Step):
    """The whole picture at another size (`resize_pair`)."""

    kind: Literal['resize'] = 'resize'
    height: Pixels
    width: Pixels
    policy: Policy = 'stretch'

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[U8, U8]:
        """The resized pair; nothing is left to chance."""
        image, mask = inputs
        size = Size(self.width, self.height)
        return resize_pair(pixels(image), mask.numpy(), size, self.policy)

    def on_image(self, image: Image, drawn: tuple[U8, U8]) -> Image:
        """The picture of the drawn pair."""
        return picture(drawn[0])

    def on_mask(self, mask: Mask, drawn: tuple[U8, U8]) -> Mask:
        """The target of the drawn pair."""
        return Mask(torch.from_numpy(drawn[1]))


class Flip(ChanceStep):
    """Left and right changed."""

    kind: Literal['flip'] = 'flip'
    p: Chance = 0.5

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> bool:
        """Always true: the chance is `p`."""
        return True

    def on_image(self, image: Image, drawn: bool) -> Image:
        """Mirrored."""
        return F.horizontal_flip(image)

    def on_mask(self, mask: Mask, drawn: bool) -> Mask:
        """Mirrored; none of our classes has a side."""
        return F.horizontal_flip(mask)


class _Affine(ChanceStep):
    """An affine map about the centre; `draw` gives angle and shear in degrees."""

    degrees: float

    def on_image(self, image: Image, drawn: tuple[float, float]) -> Image:
        angle, shear = drawn
        bilinear = InterpolationMode.BILINEAR
        return F.affine(image, angle, [0, 0], 1.0, [shear, 0.0], interpolation=bilinear, fill=PAD)

    def on_mask(self, mask: Mask, drawn: tuple[float, float]) -> Mask:
        angle, shear = drawn
        return F.affine(mask, angle, [0, 0], 1.0, [shear, 0.0], fill=UNKNOWN)


class Rotation(_Affine):
    """Turned by up to `degrees` each way."""

    kind: Literal['rotation'] = 'rotation'

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[float, float]:
        """(angle, 0) in degrees."""
        return float(rng.uniform(-self.degrees, self.degrees)), 0.0


class Shear(_Affine):
    """Sheared sideways by up to `degrees` each way."""

    kind: Literal['shear'] = 'shear'

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[float, float]:
        """(0, shear) in degrees."""
        return 0.0, float(rng.uniform(-self.degrees, self.degrees))


class Crop(ChanceStep):
    """A window of the picture, of the output's shape, at the output's size.

    `scale`: range of the window's side over that of the largest one that fits.
    """

    kind: Literal['crop'] = 'crop'
    height: Pixels
    width: Pixels
    scale: Range = (0.5, 1.0)

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> list[int]:
        """[top, left, height, width] of the window in pixels."""
        high, wide = inputs[0].shape[-2:]
        most = min(high / self.height, wide / self.width)
        side = most * float(rng.uniform(*self.scale))
        height, width = max(1, round(self.height * side)), max(1, round(self.width * side))
        top, left = rng.integers(high - height + 1), rng.integers(wide - width + 1)
        return [int(top), int(left), height, width]

    def on_image(self, image: Image, drawn: list[int]) -> Image:
        """The window, resized with bilinear interpolation."""
        return F.resized_crop(image, *drawn, [self.height, self.width])

    def on_mask(self, mask: Mask, drawn: list[int]) -> Mask:
        """The window, resized to the nearest code."""
        return F.resized_crop(mask, *drawn, [self.height, self.width])


class Window(Step):
    """Zoom, shift, stretch, rotation, flip and perspective in a single warp to the output's size.

    `zoom`: side of the window over the output's, in pixels of the picture; `shift`: sideways play
    of the window beyond the picture, over the picture's width; `aspect`: log-range of the window's
    extra stretch, each way; `rotation`: degrees each way; `perspective`: largest shift of a
    corner, over the window's side.

    The warp is OpenCV's: v2's `perspective` takes five to nine times as long.
    """

    kind: Literal['window'] = 'window'
    height: Pixels = 256
    width: Pixels = 448
    zoom: Range = (0.6, 1.75)
    shift: float = 0.05
    aspect: float = 0.25
    flip: Chance = 0.5
    rotation: float = 4.0
    perspective: Share = 0.06

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> tuple[Any, tuple[float, ...]]:
        """(homography float64 (3, 3), colour of what lies beyond the picture)."""
        height, width = inputs[0].shape[-2:]
        zoom = np.exp(rng.uniform(*np.log(self.zoom)))
        stretch = np.exp(rng.uniform(-self.aspect, self.aspect) / 2)
        half_w, half_h = self.width * zoom * stretch / 2, self.height * zoom / stretch / 2
        # The window may hang over the edge: the border is then unknown, seldom much.
        slack_x = abs(width / 2 - half_w) + self.shift * width
        slack_y = abs(height / 2 - half_h)
        centre = (
            width / 2 + rng.uniform(-slack_x, slack_x),
            height / 2 + rng.uniform(-slack_y, slack_y),
        )
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        half = np.array([half_w, half_h])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        shift = rng.uniform(-self.perspective, self.perspective, (4, 2)) * half
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        source = (corners + shift) @ turn.T + centre
        if rng.random() < self.flip:
            source = source[[1, 0, 3, 2]]
        blue, green, red = 0.0, 0.0, 0.0
        if rng.random() < 0.5:
            blue, green, red = (float(v) for v in rng.integers(0, 256, 3))
        return self._matrix(source), (blue, green, red)

    def _matrix(self, source: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Homography from corners in the picture to the output's."""
        wide, high = self.width, self.height
        goal = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32) - 0.5
        homography = cv2.getPerspectiveTransform(source.astype(np.float32) - 0.5, goal)
        return np.asarray(homography, np.float64)

    def on_image(self, image: Image, drawn: tuple[Any, tuple[float, ...]]) -> Image:
        """The warped picture, uint8 (3, height, width)."""
        matrix, border = drawn
        size = (self.width, self.height)
        return picture(cv2.warpPerspective(pixels(image), matrix, size, borderValue=border))

    def on_mask(self, mask: Mask, drawn: tuple[Any, tuple[float, ...]]) -> Mask:
        """The warped codes, nearest; 255 beyond the picture."""
        size, how = (self.width, self.height), cv2.INTER_NEAREST
        planes = [
            cv2.warpPerspective(plane, drawn[0], size, flags=how, borderValue=UNKNOWN)
            for plane in mask.numpy()
        ]
        return Mask(torch.from_numpy(np.stack(planes)))
