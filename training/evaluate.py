"""Run a network over labelled sets exactly as the node does, and score it at source size.

Protocol: the picture is brought to the network's size, scores are rounded to uint8, enlarged
linearly to the source size and decided there, all by the code that the node runs; counts are
accumulated over all pixels of a set whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seg_node.decide import Decider
from seg_node.geometry import Geometry, Size
from seg_node.model.spec import ModelSpec
from seg_node.progress import track
from seg_node_training.config import InputPart, Recipe, SetPart, resolve
from seg_node_training.data.embedded import EmbeddedSet
from seg_node_training.data.folders import FolderSet
from seg_node_training.data.layouts import open_layout
from seg_node_training.metrics import SetScore
from seg_node_training.targets import found_planes, truth_planes

U8 = npt.NDArray[np.uint8]
Scorer = Callable[[U8], U8]
"""From a picture uint8 (H, W, 3) at network size to scores uint8 (K, h, w)."""


def open_set(part: SetPart, recipe: Recipe) -> Any:
    """The adapter that a recipe's set describes (`data.cache.Adapter`)."""
    if part.kind == 'embedded':
        return EmbeddedSet(part.name, part.limit or 0, part.seed, part.towns, labels=part.labels)
    folder = resolve(part.path, resolve(recipe.data.root))
    if part.kind == 'folder':
        return FolderSet(part.name, folder, part.knows, part.split, part.limit)
    return open_layout(part.kind, part.name, folder, part.split, part.class_map, part.limit)


def normalise(picture: Tensor, part: InputPart) -> Tensor:
    """(x / 255 - mean) / std: float32 (N, 3, H, W) from uint8 of the same shape."""
    x = picture.float().div_(255)
    if any(part.mean):
        x = x - torch.tensor(part.mean, device=x.device).view(1, 3, 1, 1)
    if any(s != 1 for s in part.std):
        x = x / torch.tensor(part.std, device=x.device).view(1, 3, 1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def torch_logits(model: nn.Module, recipe: Recipe, bf16: bool = False) -> Callable[[U8], Tensor]:
    """Logits float32 (1, K, H, W) of a picture uint8 (H, W, 3) by a network in evaluation mode,
    on the device where it is."""
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def logits(image: U8) -> Tensor:
        picture = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            found = model(normalise(picture, recipe.input))
        return found.float()

    return logits


def scores_of(logits: Tensor, recipe: Recipe) -> U8:
    """Scores uint8 (K, H, W) of the foreground classes from logits (1, C, H, W)."""
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
        colour_order=recipe.input.colour_order,
        resize=recipe.input.resize,
        interpolation=recipe.input.interpolation,
    )


def picture_name(source: Any) -> str:
    """A name for one source of any adapter: the picture's stem, or the frame's number."""
    return source.image.stem if hasattr(source, 'image') else f'{source:06d}'


@dataclass(frozen=True)
class Seen:
    """One evaluated picture: the adapter's source, image uint8 (H, W, 3) BGR, target uint8
    (K, H, W), and the answer, ids uint8 (H, W), all at source size."""

    source: Any
    image: U8
    target: U8
    ids: U8


def evaluate_sets(
    scorer: Scorer,
    recipe: Recipe,
    parts: Sequence[SetPart],
    thresholds: Sequence[int] | None = None,
    watch: Callable[[Seen], None] | None = None,
) -> dict[str, SetScore]:
    """Score `scorer` on each set; `watch` is called with each picture and its answer."""
    decide = Decider(spec_of(recipe, thresholds))
    results = {}
    names = recipe.class_set.names
    for part in parts:
        data = open_set(part, recipe)
        score = SetScore()
        for source in track(data.sources(), f'evaluate {part.name}'):
            image, target = data.load(source)
            planes = bring_back(scorer(fit(image, recipe)), recipe, Size.of(image))
            ids = decide(planes)
            truths = truth_planes(target, recipe.classes, names)
            score.add(picture_name(source), found_planes(ids, recipe.classes, names), truths)
            if watch is not None:
                watch(Seen(source, image, target, ids))
        results[part.name] = score
    return results


def figures(results: dict[str, SetScore]) -> dict[str, float]:
    """Flat `set/class` -> IoU, rounded to four places."""
    flat = {}
    for name, score in results.items():
        for label, values in score.summary().items():
            if values['iou'] is not None:
                flat[f'{name}/{label}'] = round(values['iou'], 4)
    return flat
