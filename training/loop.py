"""The training loop, on Lightning Fabric: steps, evaluation, checkpoints, resume."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.fabric import Fabric
from rich.console import Console
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from seg_node.errors import ConfigError, SegNodeError
from seg_node.files import write_atomic
from seg_node.progress import progress_bar
from seg_node_training.checkpoint import epoch_path, load_state, save_checkpoint
from seg_node_training.config import OptimizerPart, Recipe, resolve
from seg_node_training.data.cache import CachedSet
from seg_node_training.data.mixing import MixedPairs, StepLoader
from seg_node_training.ema import Ema
from seg_node_training.evaluate import evaluate_sets, figures, open_set, torch_scorer
from seg_node_training.losses import masked_bce, masked_dice, split_target
from seg_node_training.models import build_model, count_parameters

log = logging.getLogger('seg_node_training')


def build_loss(recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    """Loss of logits (N, K, H, W) and uint8 target codes (N, K, H, W)."""
    part = recipe.loss

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        logits = logits.float()
        wanted, known = split_target(target)
        total = logits.sum() * 0
        if part.bce:
            total = total + part.bce * masked_bce(logits, wanted, known)
        if part.dice:
            total = total + part.dice * masked_dice(logits, wanted, known)
        return total

    return loss


def build_optimizer(model: nn.Module, part: OptimizerPart) -> torch.optim.Optimizer:
    """The recipe's optimizer; weight decay only on the weights of convolutions."""
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {'params': decay, 'weight_decay': part.weight_decay},
        {'params': plain, 'weight_decay': 0.0},
    ]
    kind = torch.optim.AdamW if part.name == 'adamw' else torch.optim.Adam
    return kind(groups, lr=part.rate)


def rate_factor(part: OptimizerPart, steps: int) -> Callable[[int], float]:
    """Learning rate over `part.rate` at a step: linear warm-up, then half a cosine."""
    floor = part.final_rate / part.rate

    def factor(step: int) -> float:
        if step < part.warmup_steps:
            return (step + 1) / part.warmup_steps
        done = (step - part.warmup_steps) / max(1, steps - part.warmup_steps)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return factor


class Trainer:
    """One run: builds everything from a recipe, trains, saves, resumes.

    `state`: what `load_checkpoint` gave, to go on from; its history goes on as well.
    """

    def __init__(self, recipe: Recipe, folder: Path, state: dict[str, Any] | None = None) -> None:
        torch.set_num_threads(recipe.loop.threads)
        self.recipe, self.folder = recipe, folder
        self.fabric = Fabric(accelerator='cpu', devices=1, precision=recipe.loop.precision)
        self.fabric.launch()
        self.fabric.seed_everything(recipe.loop.seed, verbose=False)
        model = build_model(recipe.model.name, recipe.outputs, **recipe.model.options)
        model = model.to(memory_format=torch.channels_last)
        self.ema = Ema(model, recipe.loop.ema)
        optimizer = build_optimizer(model, recipe.optimizer)
        self.scheduler = LambdaLR(optimizer, rate_factor(recipe.optimizer, recipe.loop.steps))
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.loss = build_loss(recipe)
        self.step, self.bad_batches = 0, 0
        self.history: list[dict[str, Any]] = []
        if state is not None:
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        load_state(self.model.module, state['model'], 'checkpoint')
        load_state(self.ema.model, state['ema'], 'checkpoint')
        self.ema.updates = state['ema_updates']
        self.optimizer.load_state_dict(state['optimizer'])
        self.scheduler.load_state_dict(state['scheduler'])
        self.step, self.bad_batches = state['step'], state['bad_batches']
        self.history = list(state['history'])
        torch.set_rng_state(state['rng'])

    def start_from(self, weights: dict[str, Any]) -> None:
        """Begin with the weights of another run; schedule and history begin anew."""
        load_state(self.model.module, weights, 'start weights')
        load_state(self.ema.model, weights, 'start weights')

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs to go on as if it had never stopped."""
        return {
            'recipe': self.recipe.model_dump(mode='json'),
            'model': self.model.module.state_dict(),
            'ema': self.ema.model.state_dict(),
            'ema_updates': self.ema.updates,
            'optimizer': self.optimizer.state_dict(),
            'scheduler': self.scheduler.state_dict(),
            'step': self.step,
            'bad_batches': self.bad_batches,
            'history': self.history,
            'rng': torch.get_rng_state(),
        }

    def save(self) -> Path:
        """Write the checkpoint of the present epoch and the curves so far."""
        epoch = math.ceil(self.step / self.recipe.loop.steps_per_epoch)
        path = epoch_path(self.folder, self.recipe.prefix_name, epoch)
        save_checkpoint(path, self.state())
        self._write_history()
        return path

    def _write_history(self) -> None:
        keys = list(dict.fromkeys(k for row in self.history for k in row))
        with write_atomic(self.folder / 'history.csv') as temporary, temporary.open('w') as out:
            writer = csv.DictWriter(out, keys)
            writer.writeheader()
            writer.writerows(self.history)

    def pairs(self) -> MixedPairs:
        """The mixture of the recipe's training sets, decoded into the cache where needed."""
        data = self.recipe.data
        adapters = [open_set(part, self.recipe) for part in data.train]
        sets = [
            CachedSet(a, resolve(data.cache), data.cache_height, data.cache_width)
            for a in adapters
        ]
        weights = [part.weight for part in data.train]
        return MixedPairs(sets, weights, self.recipe.augmentation, self.recipe.loop.seed)

    def train_step(self, images: Tensor, targets: Tensor) -> float | None:
        """One optimizer step; None (and no step of the weights) when the loss is not finite."""
        self.model.train()
        x = images.float().div_(255).contiguous(memory_format=torch.channels_last)
        loss = self.loss(self.model(x), targets)
        self.optimizer.zero_grad(set_to_none=True)
        value = float(loss.detach())
        if not math.isfinite(value):
            self.bad_batches += 1
            log.warning('step %d: loss is %s, batch skipped', self.step, value)
            if self.bad_batches > self.recipe.loop.max_bad_batches:
                raise SegNodeError(
                    f'training: {self.bad_batches} batches without a finite loss, the last at '
                    f'step {self.step}; lower optimizer.rate or look at the data'
                )
            return None
        self.fabric.backward(loss)
        clip = self.recipe.optimizer.clip_norm
        if clip > 0:
            self.fabric.clip_gradients(self.model, self.optimizer, max_norm=clip)
        self.optimizer.step()
        self.ema.update(self.model.module)
        return value

    def run(self, until: int | None = None) -> None:
        """Train to step `until` (the recipe's end by default), saving each epoch and at the end.

        Ctrl-C saves where it stands before it goes on up.
        """
        loop = self.recipe.loop
        goal = min(until or loop.steps, loop.steps)
        if self.step >= goal:
            raise ConfigError(f'training: already at step {self.step} of {goal}; nothing to do')
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_atomic(self.folder / 'recipe.yaml') as temporary:
            temporary.write_text(yaml.safe_dump(self.recipe.model_dump(mode='json')))
        log.info('%s: %d parameters', self.recipe.model.name, count_parameters(self.model))
        loader = StepLoader(self.pairs(), self.step, goal, loop.batch_size, loop.workers)
        try:
            with progress_bar() as bar:
                task = bar.add_task('train', total=goal, completed=self.step)
                self._steps(loader, lambda text: bar.update(task, advance=1, description=text))
        except KeyboardInterrupt:
            Console(stderr=True).print(f'interrupted; saved {self.save()}')
            raise
        self.save()

    def _steps(self, loader: Any, shown: Callable[[str], None]) -> None:
        loop = self.recipe.loop
        begin, waited, total, count = time.perf_counter(), 0.0, 0.0, 0
        mark = begin
        for images, targets in loader:
            waited += time.perf_counter() - mark
            value = self.train_step(images, targets)
            self.scheduler.step()
            self.step += 1
            if value is not None:
                total, count = total + value, count + 1
                shown(f'loss {value:.3f}')
            if self.step % loop.steps_per_epoch == 0:
                elapsed = time.perf_counter() - begin
                row: dict[str, Any] = {
                    'step': self.step,
                    'loss': total / max(1, count),
                    'rate': self.scheduler.get_last_lr()[0],
                    'seconds_per_step': elapsed / loop.steps_per_epoch,
                    'waiting_share': waited / elapsed,
                    'skipped_batches': self.bad_batches,
                }
                if self.step % loop.evaluate_every == 0 and self.recipe.data.evaluate:
                    row.update(self.evaluate())
                self.history.append(row)
                log.info('%s', '  '.join(f'{k} {_short(v)}' for k, v in row.items()))
                self.save()
                begin, waited, total, count = time.perf_counter(), 0.0, 0.0, 0
            mark = time.perf_counter()

    def evaluate(self) -> dict[str, float]:
        """IoU of the averaged weights on the recipe's evaluation sets."""
        scorer = torch_scorer(self.ema.model, self.recipe.head, bf16=True)
        parts = self.recipe.data.evaluate
        if self.recipe.loop.evaluate_limit:
            limit = {'limit': self.recipe.loop.evaluate_limit}
            parts = tuple(part.model_copy(update=limit) for part in parts)
        return figures(evaluate_sets(scorer, self.recipe, parts))


def _short(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
