"""Quantization-aware training: fine-tune a checkpoint with the rounding of int8 in the loop.

The fake quantizers are torchao's (Jacob et al. 2018, "Quantization and Training of Neural Networks
for Efficient Integer-Arithmetic-Only Inference"), placed where the QDQ graph of `ptq` has its own:
weights symmetric with a scale a channel, and the activation that each convolution reads as U8. The
head stays float. Normalisation and dropout are frozen. Afterwards the rounded weights are put back
into the plain network, so that the same static quantizer writes the same QDQ form.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from seg_node.errors import ConfigError
from seg_node.progress import track
from seg_node_training.config import Recipe
from seg_node_training.data.batches import training_pairs
from seg_node_training.data.mixing import StepLoader
from seg_node_training.evaluate.network import normalise
from seg_node_training.export.graph import fuse_batch_norms
from seg_node_training.train.devices import usable_precision
from seg_node_training.train.objective import build_loss

Convolution = nn.Conv2d | nn.ConvTranspose2d


@dataclass(frozen=True)
class QatPlan:
    """Length and rate of the fine-tuning, and the bits of the weights (activations: 8)."""

    steps: int = 200
    rate: float = 1e-4
    batch: int = 4
    weight_bits: int = 8
    observe_steps: int = 8
    """Steps at the beginning that only observe ranges."""

    def __post_init__(self) -> None:
        if not 2 <= self.weight_bits <= 8 or self.steps < 1:
            raise ConfigError(
                f'qat: expected 2 to 8 bits and at least one step, got {self.weight_bits} bits, '
                f'{self.steps} steps'
            )


def _fake_quantizers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            from torchao.quantization import pt2e
        except ImportError:
            raise ConfigError(
                'qat: needs torchao, it is not installed; pip install torchao'
            ) from None
    return pt2e


class RoundedWeight(nn.Module):
    """Parametrization: a weight on the symmetric grid of `bits` bits, a scale a channel."""

    def __init__(self, axis: int, bits: int) -> None:
        super().__init__()
        pt2e = _fake_quantizers()
        top = 2 ** (bits - 1) - 1
        self.fake = pt2e.FusedMovingAvgObsFakeQuantize(
            observer=pt2e.MovingAveragePerChannelMinMaxObserver,
            quant_min=-top,
            quant_max=top,
            dtype=torch.int8,
            qscheme=torch.per_channel_symmetric,
            ch_axis=axis,
            averaging_constant=1.0,  # the grid follows the largest weight of the moment
        )
        self.axis = axis

    def forward(self, weight: Tensor) -> Tensor:
        # The fused kernel wants the channels in front.
        """The weight on its grid, of the same shape; gradients pass straight through."""
        rounded: Tensor = self.fake(weight) if self.axis == 0 else self._turned(weight)
        return rounded

    def _turned(self, weight: Tensor) -> Tensor:
        self.fake.ch_axis = self.fake.activation_post_process.ch_axis = 0
        rounded: Tensor = self.fake(weight.transpose(0, 1).contiguous())
        return rounded.transpose(0, 1)


def _activation_quantizer() -> nn.Module:
    pt2e = _fake_quantizers()
    fake: nn.Module = pt2e.FusedMovingAvgObsFakeQuantize(
        observer=pt2e.MovingAverageMinMaxObserver,
        quant_min=0,
        quant_max=255,
        dtype=torch.uint8,
        averaging_constant=0.02,
    )
    return fake


def convolutions(model: nn.Module) -> list[Convolution]:
    """The convolutions of a network in the order of its modules; the head is the last."""
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


class FakeQuantization:
    """Fake quantizers on every convolution of a network but the head (the last one)."""

    def __init__(self, model: nn.Module, weight_bits: int = 8) -> None:
        self._wrapped: list[tuple[Convolution, Any, RemovableHandle]] = []
        for conv in convolutions(model)[:-1]:
            axis = 1 if isinstance(conv, nn.ConvTranspose2d) else 0
            parametrize.register_parametrization(conv, 'weight', RoundedWeight(axis, weight_bits))
            activation = _activation_quantizer()
            conv.add_module('reads', activation)
            hook = conv.register_forward_pre_hook(lambda m, x: (m.reads(x[0].float()), *x[1:]))
            self._wrapped.append((conv, activation, hook))

    def observe_only(self, on: bool) -> None:
        """Measure ranges without rounding activations yet, or round."""
        for _, activation, _ in self._wrapped:
            activation.fake_quant_enabled[0] = 0 if on else 1

    def freeze_ranges(self) -> None:
        """Keep the ranges of the activations as they are from now on."""
        for _, activation, _ in self._wrapped:
            activation.observer_enabled[0] = 0

    def remove(self) -> None:
        """Take everything off again, leaving the rounded weights in the network."""
        for conv, _, hook in self._wrapped:
            hook.remove()
            parametrize.remove_parametrizations(conv, 'weight', leave_parametrized=True)
            del conv.reads
        self._wrapped.clear()


def batches_of(recipe: Recipe, plan: QatPlan) -> StepLoader:
    """The batches that training makes of the recipe, `plan.batch` pairs each, from its first."""
    total = plan.observe_steps + plan.steps
    return StepLoader(training_pairs(recipe), 0, total, plan.batch, recipe.loop.workers)


def fine_tune(
    model: nn.Module,
    recipe: Recipe,
    plan: QatPlan,
    watch: Callable[[int, float, nn.Module], None] | None = None,
    every: int = 50,
) -> nn.Module:
    """A copy of `model` fine-tuned under rounding; its weights lie on the grid.

    Adam with a cosine from `plan.rate` to 0, batch normalisation folded where it can be; batches,
    precision and the clipping of gradients are the recipe's own, as in training.
    `watch(step, mean loss, network)` is called every `every` steps with the network as it is
    then, in rounding.
    """
    network = fuse_batch_norms(model)
    fake = FakeQuantization(network, plan.weight_bits)
    loss_of = build_loss(recipe, network)
    optimizer = torch.optim.Adam(network.parameters(), plan.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.steps)
    loader = batches_of(recipe, plan)
    # bf16 holds a rounded 8-bit value as it is, so mixed precision does not blur the grid.
    half = usable_precision(recipe.loop.precision, gpu=False) == 'bf16-mixed'
    fake.observe_only(True)
    losses: list[float] = []
    x: Tensor | None = None
    for step, (images, targets) in enumerate(track(loader, 'qat'), -plan.observe_steps):
        if recipe.input.colour_order == 'rgb':
            images = images.flip(1)
        x = normalise(images, recipe.input)
        if step < 0:
            with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=half):
                network(x)
            continue
        if step == 0:
            fake.observe_only(False)
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            logits = network(x)
        loss = loss_of(logits.float(), targets)
        if bool(torch.isfinite(loss)):
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if recipe.optimizer.clip_norm > 0:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip_norm)
            optimizer.step()
            losses.append(float(loss.detach()))
        schedule.step()
        if step == plan.steps // 2:
            fake.freeze_ranges()
        if watch is not None and (step + 1) % every == 0:
            watch(step + 1, sum(losses[-every:]) / max(1, len(losses[-every:])), network)
    if x is not None:
        with torch.no_grad():
            network(x)  # the weights' grid follows their last step
    fake.remove()
    return network.eval()
