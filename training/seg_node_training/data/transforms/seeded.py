"""torchvision v2 transforms whose chance comes from the pair, not from torch's one generator.

v2's own classes draw from torch's global generator, which the loader's threads would share with
the network's dropout. Here a transform draws from the generator of the pair that is being made, so
that a pair depends on the recipe's seed and its position alone; the work is done by v2's
functions, but where a measured OpenCV kernel is more than three times as fast
(`python -m seg_node_training.studies.loading`).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from torchvision.transforms import v2
from torchvision.tv_tensors import Image, Mask

U8 = npt.NDArray[np.uint8]
Chance = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Range = tuple[float, float]
Pixels = Annotated[int, Field(ge=8)]

_GENERATOR: ContextVar[np.random.Generator] = ContextVar('generator of the pair')


def picture(array: U8) -> Image:
    """v2's image, uint8 (3, H, W), on the memory of uint8 (H, W, 3) BGR."""
    return Image(torch.from_numpy(array).permute(2, 0, 1))


def pixels(image: torch.Tensor) -> U8:
    """uint8 (H, W, 3), contiguous, from a v2 image (3, H, W)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


class Step(BaseModel):
    """One entry of a recipe's `transforms:`, `{kind: {parameters}}`, and what it does to a pair.

    A subclass has its parameters as fields. It draws what it does once a pair (`draw`) and does
    it to the picture (`on_image`, `Image` uint8 (3, H, W), BGR) and to the target (`on_mask`,
    `Mask` uint8 (K, H, W) of codes, 255 unknown), which by default stays as it is.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)
    kind: str

    @property
    def chance(self) -> float:
        """How often the step is taken."""
        return 1.0

    def transform(self) -> v2.Transform:
        """The step for a chain of v2 transforms."""
        return Seeded(self)

    def draw(self, rng: np.random.Generator, inputs: list[Any]) -> Any:
        """What is done to this pair, not None; `inputs` are its image and its mask."""
        raise NotImplementedError

    def on_image(self, image: Image, drawn: Any) -> Image:
        """The picture after what was drawn; by default as it came."""
        return image

    def on_mask(self, mask: Mask, drawn: Any) -> Mask:
        """The target after what was drawn; by default as it came."""
        return mask


class ChanceStep(Step):
    """A step that is taken with chance `p`."""

    p: Chance = 1.0

    @property
    def chance(self) -> float:
        """How often the step is taken."""
        return self.p


class Seeded(v2.Transform):
    """A step as a v2 transform: taken with the step's chance, by the pair's own generator."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Called by v2 once a pair: what is drawn, None where the step is not taken."""
        rng = _GENERATOR.get()
        taken = self.step.chance >= 1 or rng.random() < self.step.chance
        return {'drawn': self.step.draw(rng, flat_inputs) if taken else None}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Called by v2 for the image and for the mask."""
        drawn = params['drawn']
        if drawn is None:
            return inpt
        apply = self.step.on_mask if isinstance(inpt, Mask) else self.step.on_image
        return apply(inpt, drawn)


class SeededChoice(v2.Transform):
    """One of several transforms, each as likely, with chance `p`; else none."""

    def __init__(self, choices: list[v2.Transform], p: float) -> None:
        super().__init__()
        self.choices, self.p = torch.nn.ModuleList(choices), p

    def forward(self, *inputs: Any) -> Any:
        """The pair after the chosen transform, or as it came."""
        rng = _GENERATOR.get()
        if rng.random() >= self.p:
            return inputs
        return self.choices[int(rng.integers(len(self.choices)))](*inputs)


def transformed(
    transform: v2.Transform, image: U8, target: U8, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """The pair after `transform`: v2's image uint8 (3, H, W) and mask uint8 (K, H, W).

    `image`: uint8 (H, W, 3) BGR; `target`: uint8 (K, H, W) codes with 255 unknown; neither is
    changed. All chance comes from `rng`.
    """
    token = _GENERATOR.set(rng)
    try:
        pair: tuple[Image, Mask] = transform(picture(image), Mask(torch.from_numpy(target)))
    finally:
        _GENERATOR.reset(token)
    return pair
