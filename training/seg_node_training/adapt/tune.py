"""Fine-tuning of a float model file on a mixture of sets, gently: late layers, low rate, average.

A naive fine-tuning forgets: it gains on the new camera and loses markings everywhere else. So only
the later convolutions move, old and rendered pictures stay in every batch, the weights are
averaged over the run, and the result may be drawn back towards the start (`blended`: Wortsman et
al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from seg_node.errors import ConfigError, SegNodeError
from seg_node.progress import track
from seg_node_training.adapt.onnx_network import OnnxNetwork
from seg_node_training.config import Recipe
from seg_node_training.data.cache import Adapter, CachedSet
from seg_node_training.data.mixing import MixedPairs, StepLoader
from seg_node_training.data.targets import encoder
from seg_node_training.data.transforms import build
from seg_node_training.train.devices import usable_precision
from seg_node_training.train.objective import build_loss

WARMUP = 40
"""Steps in which the rate rises."""


@dataclass(frozen=True)
class TunePlan:
    """How gently: the last `share` of the convolutions move, the average has this `decay`."""

    steps: int = 400
    rate: float = 3e-5
    share: float = 0.5
    decay: float = 0.99

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rate <= 0 or not 0 < self.share <= 1:
            raise ConfigError(
                'adapt: expected at least one step, a rate above 0 and a share of layers up to '
                f'1, got {self.steps}, {self.rate}, {self.share}'
            )


@dataclass(frozen=True)
class SetShare:
    """A set and its share of the pictures."""

    adapter: Adapter[Any]
    share: float


def mixture(parts: Sequence[SetShare], recipe: Recipe, cache: Path) -> MixedPairs:
    """Pictures of the parts in these shares, whatever the sets' sizes, augmented by the recipe."""
    size = (recipe.input.height, recipe.input.width)
    sets = [CachedSet(p.adapter, cache, *size, recipe.input.resize) for p in parts]
    weights = [p.share / len(s) for p, s in zip(parts, sets)]
    encode = encoder(recipe.classes, recipe.head)
    return MixedPairs(sets, weights, build(recipe.transforms), recipe.loop.seed, encode)


def tune(
    network: OnnxNetwork, recipe: Recipe, pairs: MixedPairs, plan: TunePlan
) -> dict[str, Tensor]:
    """Averaged weights by name after `plan.steps` of Adam: a warm-up, then a cosine to 0.

    Raises `SegNodeError` when the loss is not finite.
    """
    torch.set_num_threads(recipe.loop.threads)
    torch.manual_seed(recipe.loop.seed)
    optimizer = torch.optim.Adam(network.parameters(), plan.rate)
    # Adam's first steps are as long as its rate, whatever the gradient: they must be short ones.
    warmup = min(WARMUP, plan.steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        ),
    )
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(plan.decay))
    loss_of = build_loss(recipe, network)
    half = usable_precision(recipe.loop.precision, gpu=False) == 'bf16-mixed'
    loader = StepLoader(pairs, 0, plan.steps, recipe.loop.batch_size, recipe.loop.workers)
    for images, targets in track(loader, 'adapt'):
        if recipe.input.colour_order == 'rgb':
            images = images.flip(1)
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            logits = network(images.permute(0, 2, 3, 1).float())
        loss = loss_of(logits.float(), targets)
        if not bool(torch.isfinite(loss)):
            raise SegNodeError('adapt: the loss is not finite; lower --rate')
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip_norm)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
    tuned = average.module
    assert isinstance(tuned, OnnxNetwork)
    return tuned.weights()


def blended(
    start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Weights at `share` of the way from `start` to `tuned`."""
    return {name: torch.lerp(start[name].float(), tuned[name].float(), share) for name in tuned}
