"""A torch network as the node runs a file: uint8 in, uint8 scores out, by its code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seg_node.camera.geometry import Geometry
from seg_node.camera.size import Size
from seg_node.model.spec import ModelSpec
from seg_node_training.config import InputPart, Recipe
from seg_node_training.export.codes import logit_bytes

U8 = npt.NDArray[np.uint8]
Scorer = Callable[[U8], U8]
"""From a picture uint8 (H, W, 3) at network size to scores uint8 (K, h, w)."""


def normalise(picture: Tensor, part: InputPart) -> Tensor:
    """(x / 255 - mean) / std: float32 (N, 3, H, W) from uint8 of the same shape."""
    x = picture.float().div_(255)
    if any(part.mean):
        x = x - torch.tensor(part.mean, device=x.device).view(1, 3, 1, 1)
    if any(s != 1 for s in part.std):
        x = x / torch.tensor(part.std, device=x.device).view(1, 3, 1, 1)
    return x


def torch_logits(model: nn.Module, recipe: Recipe, bf16: bool = False) -> Callable[[U8], Tensor]:
    """Logits float32 (1, K, H, W) of a picture uint8 (H, W, 3) by a network in evaluation mode,
    on the device where it is."""
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def logits(image: U8) -> Tensor:
        picture = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            answer: Tensor = model(normalise(picture, recipe.input))
        return answer.float()

    return logits


def scores_of(logits: Tensor, recipe: Recipe) -> U8:
    """Scores uint8 (K, H, W) of the foreground classes from logits (1, C, H, W); logits as bytes
    where the recipe's file puts those out."""
    if recipe.output == 'logits':
        return logit_bytes(logits[0]).cpu().numpy()
    sigmoid = recipe.head == 'sigmoid'
    p = torch.sigmoid(logits) if sigmoid else torch.softmax(logits, 1)[:, 1:]
    return p[0].mul(255).round_().to(torch.uint8).cpu().numpy()


def torch_scorer(model: nn.Module, recipe: Recipe, bf16: bool = False) -> Scorer:
    """Scores by a torch network."""
    logits = torch_logits(model, recipe, bf16)
    return lambda image: scores_of(logits(image), recipe)


def network_size(recipe: Recipe) -> Size:
    """Size of the network's picture."""
    return Size(recipe.input.width, recipe.input.height)


def fit(image: U8, recipe: Recipe) -> U8:
    """`image`, uint8 (H, W, 3) BGR, as the network wants it: the runtime's own code."""
    part = recipe.input
    geometry = Geometry.fit(Size.of(image), network_size(recipe), part.resize, part.interpolation)
    image = geometry.to_network(image)
    return image if part.colour_order == 'bgr' else image[..., ::-1].copy()


def bring_back(scores: U8, recipe: Recipe, source: Size) -> list[U8]:
    """Score planes uint8 (K, h, w) at the size of the source picture, by the runtime's code."""
    geometry = Geometry.fit(source, network_size(recipe), recipe.input.resize)
    return [geometry.to_source(np.ascontiguousarray(plane)) for plane in scores]


def spec_of(recipe: Recipe, thresholds: Sequence[int] | None = None) -> ModelSpec:
    """What the recipe alone says of its model."""
    chosen = tuple(thresholds or recipe.thresholds or ())
    return ModelSpec(
        name=recipe.name,
        classes=recipe.class_set,
        head=recipe.head,
        thresholds=chosen if recipe.head == 'sigmoid' else (),
        encoding=recipe.output,
        temperatures=tuple(recipe.temperatures or ()),
        colour_order=recipe.input.colour_order,
        resize=recipe.input.resize,
        interpolation=recipe.input.interpolation,
    )
