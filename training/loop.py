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
from lightning.fabric.loggers import TensorBoardLogger
from rich.console import Console
from torch import Tensor

from seg_node.errors import ConfigError, SegNodeError
from seg_node.files import write_atomic
from seg_node.progress import progress_bar
from seg_node_training.checkpoint import epoch_path, load_state, save_checkpoint
from seg_node_training.config import Recipe, resolve
from seg_node_training.curves import plot_history
from seg_node_training.data.cache import CachedSet
from seg_node_training.data.mixing import MixedPairs, StepLoader
from seg_node_training.ema import Ema
from seg_node_training.evaluate import (
    evaluate_sets,
    figures,
    normalise,
    open_set,
    torch_scorer,
)
from seg_node_training.models import build_model, count_parameters
from seg_node_training.objective import build_loss
from seg_node_training.schedules import Schedule, build_optimizer
from seg_node_training.targets import encoder

log = logging.getLogger('seg_node_training')


class Trainer:
    """One run: builds everything from a recipe, trains, saves, resumes.

    `state`: what `load_checkpoint` gave, to go on from; its history goes on as well.
    """

    def __init__(self, recipe: Recipe, folder: Path, state: dict[str, Any] | None = None) -> None:
        torch.set_num_threads(recipe.loop.threads)
        self.recipe, self.folder = recipe, folder
        board = TensorBoardLogger(folder, name='tensorboard', version='')
        self.fabric = Fabric(
            accelerator='cpu', devices=1, precision=recipe.loop.precision, loggers=board
        )
        self.fabric.launch()
        self.fabric.seed_everything(recipe.loop.seed, verbose=False)
        model = build_model(recipe.model.name, recipe.outputs, **recipe.model.options)
        model = model.to(memory_format=torch.channels_last)
        self.ema = Ema(model, recipe.loop.ema)
        optimizer = build_optimizer(model, recipe.optimizer)
        self.schedule = Schedule(optimizer, recipe.optimizer, recipe.loop)
        self.encode = encoder(recipe.classes, recipe.head)
        self.loss = build_loss(recipe, model)
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.step, self.bad_batches = 0, 0
        self.epoch_loss, self.epoch_count = 0.0, 0
        self.history: list[dict[str, Any]] = []
        self.lineage: list[str] = []
        if state is not None:
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        load_state(self.model.module, state['model'], 'checkpoint')
        load_state(self.ema.model, state['ema'], 'checkpoint')
        self.ema.updates = state['ema_updates']
        self.optimizer.load_state_dict(state['optimizer'])
        self.schedule.load_state_dict(state['scheduler'])
        self.step, self.bad_batches = state['step'], state['bad_batches']
        self.history = list(state['history'])
        self.lineage = list(state.get('lineage', []))
        self.epoch_loss, self.epoch_count = state.get('epoch', (0.0, 0))
        torch.set_rng_state(state['rng'])

    def start_from(self, state: dict[str, Any]) -> None:
        """Begin with another run's averaged weights; schedule and history begin anew.

        The checkpoint remembers what it began from (`lineage`), for the model card.
        """
        load_state(self.model.module, state['ema'], 'start weights')
        load_state(self.ema.model, state['ema'], 'start weights')
        before = f'{state["recipe"]["name"]}, {state["step"]} steps'
        self.lineage = [*state.get('lineage', []), before]

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs to go on as if it had never stopped."""
        return {
            'recipe': self.recipe.model_dump(mode='json'),
            'model': self.model.module.state_dict(),
            'ema': self.ema.model.state_dict(),
            'ema_updates': self.ema.updates,
            'optimizer': self.optimizer.state_dict(),
            'scheduler': self.schedule.state_dict(),
            'step': self.step,
            'bad_batches': self.bad_batches,
            'history': self.history,
            'lineage': self.lineage,
            'epoch': (self.epoch_loss, self.epoch_count),
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
        recipe = self.recipe
        return MixedPairs(sets, weights, recipe.augmentation, recipe.loop.seed, self.encode)

    def train_step(self, images: Tensor, targets: Tensor) -> float | None:
        """One optimizer step; None (and no step of the weights) when the loss is not finite."""
        self.model.train()
        if self.recipe.input.colour_order == 'rgb':
            images = images.flip(1)
        loss = self.loss(self.model(normalise(images, self.recipe.input)), targets)
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
        plot_history(self.history, self.folder / 'curves.png', self.recipe.name)

    def _steps(self, loader: Any, shown: Callable[[str], None]) -> None:
        loop = self.recipe.loop
        begin, waited, since = time.perf_counter(), 0.0, self.step
        mark = begin
        for images, targets in loader:
            waited += time.perf_counter() - mark
            value = self.train_step(images, targets)
            self.schedule.after_step()
            self.step += 1
            if value is not None:
                self.epoch_loss += value
                self.epoch_count += 1
                shown(f'loss {value:.3f}')
            if self.step % loop.steps_per_epoch == 0:
                elapsed = time.perf_counter() - begin
                mean = self.epoch_loss / max(1, self.epoch_count)
                self.epoch_loss, self.epoch_count = 0.0, 0
                row: dict[str, Any] = {
                    'step': self.step,
                    'loss': mean,
                    'rate': self.schedule.rate,
                    'seconds_per_step': elapsed / (self.step - since),
                    'waiting_share': waited / elapsed,
                    'skipped_batches': self.bad_batches,
                }
                if self.step % loop.evaluate_every == 0 and self.recipe.data.evaluate:
                    row.update(self.evaluate())
                self.history.append(row)
                numbers = {k: v for k, v in row.items() if k != 'step' and v is not None}
                self.fabric.log_dict(numbers, self.step)
                log.info('%s', '  '.join(f'{k} {_short(v)}' for k, v in row.items()))
                self.schedule.after_epoch(mean)
                self.save()
                if self._stalled():
                    log.info('no lower loss for %d epochs: stopped', loop.stop_after)
                    return
                begin, waited, since = time.perf_counter(), 0.0, self.step
            mark = time.perf_counter()

    def _stalled(self) -> bool:
        """Whether the mean loss has not fallen for the recipe's number of epochs."""
        patience = self.recipe.loop.stop_after
        losses = [row['loss'] for row in self.history]
        if patience is None or len(losses) <= patience:
            return False
        return min(losses[-patience:]) >= min(losses[:-patience])

    def evaluate(self) -> dict[str, float]:
        """IoU of the averaged weights on the recipe's evaluation sets."""
        scorer = torch_scorer(
            self.ema.model, self.recipe, bf16=self.recipe.loop.precision == 'bf16-mixed'
        )
        parts = self.recipe.data.evaluate
        if self.recipe.loop.evaluate_limit:
            limit = {'limit': self.recipe.loop.evaluate_limit}
            parts = tuple(part.model_copy(update=limit) for part in parts)
        return figures(evaluate_sets(scorer, self.recipe, parts))


def _short(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
