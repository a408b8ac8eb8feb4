"""The training loop, on Lightning Fabric: steps, evaluation, checkpoints, resume.

Everything random depends on the recipe's seed, the step and the process alone: a resumed run needs
no generator's state, and runs on in whatever number of processes.
"""

from __future__ import annotations

import csv
import logging
import math
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.fabric import Fabric
from rich.console import Console
from torch import Tensor, nn

from seg_node.errors import ConfigError, SegNodeError
from seg_node.files import write_atomic
from seg_node.progress import progress_bar
from seg_node_training.config import Recipe
from seg_node_training.data.batches import training_pairs
from seg_node_training.data.mixing import MixedPairs, Slice, StepLoader
from seg_node_training.evaluate.network import normalise
from seg_node_training.evaluate.sets import evaluate_sets, figures
from seg_node_training.evaluate.timed_network import TimedNetwork
from seg_node_training.models import build_model, count_parameters
from seg_node_training.train.checkpoint import best_path, epoch_path, load_state, save_checkpoint
from seg_node_training.train.curves import plot_history
from seg_node_training.train.devices import Machine, StopRequest
from seg_node_training.train.ema import Ema
from seg_node_training.train.objective import build_loss
from seg_node_training.train.schedules import Schedule, build_optimizer
from seg_node_training.train.sizes import check_sizes
from seg_node_training.train.start import load_matching

log = logging.getLogger('seg_node_training')
VALIDATION = 'validation_loss'


class Trainer:
    """One run: builds everything from a recipe, trains, saves, resumes.

    `state`: what `load_checkpoint` gave, to go on from; its history goes on as well. `machine`:
    one device by default. With DDP each process has a trainer; the first alone writes and
    evaluates. Batches are those of the recipe, split among the processes, so a step is the same
    step in whichever number of them. Batch normalisation is synchronised on GPUs; on CPUs, where
    torch cannot, each process has its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        state: dict[str, Any] | None = None,
        machine: Machine | None = None,
    ) -> None:
        torch.set_num_threads(recipe.loop.threads)
        torch.use_deterministic_algorithms(recipe.loop.deterministic, warn_only=True)
        self.recipe, self.folder = recipe, folder
        self.fabric = (machine or Machine(devices=1)).fabric(recipe.loop.precision, folder)
        self.fabric.seed_everything(recipe.loop.seed, verbose=False)
        model = build_model(recipe.model.name, recipe.outputs, **recipe.model.options)
        if self.fabric.world_size > 1 and self.fabric.device.type == 'cuda':
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self.layout = layout_of(self.fabric)
        model = model.to(self.fabric.device).to(memory_format=self.layout)
        self.ema = Ema(model, recipe.loop.ema)
        optimizer = build_optimizer(model, recipe.optimizer)
        self.schedule = Schedule(optimizer, recipe.optimizer, recipe.loop)
        self.loss = build_loss(recipe, model)
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.step, self.bad_batches = 0, 0
        self.epoch_loss, self.epoch_count = 0.0, 0
        self.history: list[dict[str, Any]] = []
        self.lineage: list[str] = []
        self.came: frozenset[str] = frozenset()
        if state is not None:
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        load_state(self.model.module, state['model'], 'checkpoint')
        load_state(self.ema.module, state['ema'], 'checkpoint')
        self.ema.updates = state['ema_updates']
        self.optimizer.load_state_dict(state['optimizer'])
        self.schedule.load_state_dict(state['scheduler'])
        self.step, self.bad_batches = state['step'], state['bad_batches']
        self.history = list(state['history'])
        self.lineage = list(state.get('lineage', []))
        self.came = frozenset(state.get('came', ()))
        self.epoch_loss, self.epoch_count = state.get('epoch', (0.0, 0))
        scaler = self._scaler()
        if scaler is not None and state.get('scaler'):
            scaler.load_state_dict(state['scaler'])

    def _scaler(self) -> Any:
        """The gradient scaler of fp16; None with other precisions."""
        return getattr(self.fabric.strategy.precision, 'scaler', None)

    def start_from(self, state: dict[str, Any]) -> None:
        """Begin with another run's averaged weights; schedule and history begin anew.

        The checkpoint remembers what it began from (`lineage`), for the model card.
        """
        network = self.model.module
        if self.recipe.loop.settle_steps:
            self.came = load_matching(network, state['ema'], 'start weights')
            self.ema.module.load_state_dict(network.state_dict())
        else:
            load_state(network, state['ema'], 'start weights')
            load_state(self.ema.module, state['ema'], 'start weights')
        before = f'{state["recipe"]["name"]}, {state["step"]} steps'
        self.lineage = [*state.get('lineage', []), before]

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs to go on as if it had never stopped."""
        scaler = self._scaler()
        return {
            'recipe': self.recipe.model_dump(mode='json'),
            'model': self.model.module.state_dict(),
            'ema': self.ema.module.state_dict(),
            'ema_updates': self.ema.updates,
            'optimizer': self.optimizer.state_dict(),
            'scheduler': self.schedule.state_dict(),
            'step': self.step,
            'bad_batches': self.bad_batches,
            'history': self.history,
            'lineage': self.lineage,
            'came': sorted(self.came),
            'epoch': (self.epoch_loss, self.epoch_count),
            'scaler': scaler.state_dict() if scaler is not None else None,
        }

    def save(self) -> Path:
        """Write the checkpoint of the present epoch and the curves so far (the first process)."""
        epoch = math.ceil(self.step / self.recipe.loop.steps_per_epoch)
        path = epoch_path(self.folder, self.recipe.prefix_name, epoch)
        if self.fabric.is_global_zero:
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
        """The mixture of the recipe's training sets (`data.batches`)."""
        return training_pairs(self.recipe, self.fabric.rank_zero_first(local=True))

    def _seed_step(self) -> None:
        """Seed what torch draws in this step (dropout)."""
        entropy = (self.recipe.loop.seed, self.step, self.fabric.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def _settle(self) -> None:
        """Hold still what came from another network while the rest learns to go with it."""
        if self.came:
            free = self.step >= self.recipe.loop.settle_steps
            for name, parameter in self.model.module.named_parameters():
                parameter.requires_grad_(free or name not in self.came)
            self.came = frozenset() if free else self.came

    def train_step(self, images: Tensor, targets: Tensor) -> float | None:
        """One optimizer step; None (and no step of the weights) when the loss is not finite."""
        self.model.train()
        self._settle()
        self._seed_step()
        images, targets = self.fabric.to_device((images, targets))
        if self.recipe.input.colour_order == 'rgb':
            images = images.flip(1)
        pictures = normalise(images, self.recipe.input).contiguous(memory_format=self.layout)
        loss = self.loss(self.model(pictures), targets)
        self.optimizer.zero_grad(set_to_none=True)
        value = self._agreed(loss.detach())
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
        self.ema.follow(self.model.module)
        return value

    def _agreed(self, value: Tensor) -> float:
        """Mean over the processes, so that all of them decide alike."""
        return float(value) if self.fabric.world_size == 1 else self._reduced(value, 'mean')

    def _reduced(self, value: Tensor, operation: str) -> float:
        reduced = self.fabric.all_reduce(value, reduce_op=operation)
        assert isinstance(reduced, Tensor)  # as what went in
        return float(reduced)

    @property
    def recent_loss(self) -> float | None:
        """Mean loss of the present epoch so far, or of the last one that ended."""
        if self.epoch_count:
            return self.epoch_loss / self.epoch_count
        return self.history[-1]['loss'] if self.history else None

    def run(self, until: int | None = None) -> Path:
        """Train to step `until` (the recipe's end by default), saving each epoch and at the end.

        Returns the last checkpoint. Ctrl-C (or SIGTERM) lets the step end, saves, and raises
        `KeyboardInterrupt`.
        """
        loop = self.recipe.loop
        goal = min(until or loop.steps, loop.steps)
        if self.step >= goal:
            raise ConfigError(f'training: already at step {self.step} of {goal}; nothing to do')
        check_sizes(self.ema.module, self.recipe)
        first = self.fabric.is_global_zero
        if first:
            self._write_recipe()
        log.info('%s: %d parameters', self.recipe.model.name, count_parameters(self.model))
        part = Slice(self.fabric.global_rank, self.fabric.world_size)
        loader = StepLoader(
            self.pairs(), self.step, goal, loop.batch_size, loop.workers, part=part
        )
        with StopRequest() as stop, progress_bar() if first else nullcontext() as bar:
            shown = _Shown(bar, goal, self.step)
            self._steps(loader, shown, stop)
        saved = self.save()
        if self._stop_agreed(stop):
            if first:
                Console(stderr=True).print(f'interrupted; saved {saved}')
            raise KeyboardInterrupt
        if first:
            plot_history(self.history, self.folder / 'curves.png', self.recipe.name)
        self.fabric.barrier()
        return saved

    def _write_recipe(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with write_atomic(self.folder / 'recipe.yaml') as temporary:
            temporary.write_text(yaml.safe_dump(self.recipe.model_dump(mode='json')))

    def _stop_agreed(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop: all must leave after the same step."""
        if self.fabric.world_size == 1:
            return stop.asked
        stops = torch.tensor(float(stop.asked), device=self.fabric.device)
        return self._reduced(stops, 'sum') > 0

    def _steps(self, loader: StepLoader, shown: _Shown, stop: StopRequest) -> None:
        loop = self.recipe.loop
        timer = _Timer(self.step)
        for images, targets in loader:
            timer.batch_came()
            value = self.train_step(images, targets)
            self.schedule.after_step()
            self.step += 1
            if value is not None:
                self.epoch_loss += value
                self.epoch_count += 1
            shown(value)
            if self.step % loop.steps_per_epoch == 0:
                self._end_epoch(timer)
                if self._stalled():
                    log.info('no lower loss for %d epochs: stopped', loop.stop_after)
                    return
                timer = _Timer(self.step)
            if self._stop_agreed(stop):
                return
            timer.step_done()

    def _end_epoch(self, timer: _Timer) -> None:
        mean = self.epoch_loss / max(1, self.epoch_count)
        self.epoch_loss, self.epoch_count = 0.0, 0
        row: dict[str, Any] = {
            'step': self.step,
            'loss': mean,
            'rate': self.schedule.rate,
            **timer.figures(self.step),
            'skipped_batches': self.bad_batches,
        }
        due = self.step % self.recipe.loop.evaluate_every == 0 and self.recipe.data.evaluate
        if due and self.fabric.is_global_zero:
            row.update(self.evaluate())
        row = self.fabric.broadcast(row)
        self.history.append(row)
        numbers = {k: v for k, v in row.items() if k != 'step' and v is not None}
        self.fabric.log_dict(numbers, self.step)
        if self.fabric.is_global_zero:
            log.info('%s', '  '.join(f'{k} {_short(v)}' for k, v in row.items()))
        if VALIDATION in row or not self.recipe.data.evaluate:
            self.schedule.after_epoch(row.get(VALIDATION, mean))
        self.save()
        if self.fabric.is_global_zero and self._is_best(row):
            save_checkpoint(best_path(self.folder, self.recipe.prefix_name), self.state())

    def _is_best(self, row: dict[str, Any]) -> bool:
        """Whether the validation loss of `row`, the last one, is the lowest so far."""
        losses = [r[VALIDATION] for r in self.history if VALIDATION in r]
        return VALIDATION in row and row[VALIDATION] <= min(losses)

    def _stalled(self) -> bool:
        """Whether the loss has not fallen for the recipe's number of epochs.

        That is the validation loss, where there are validation sets, over the epochs with one.
        """
        patience = self.recipe.loop.stop_after
        key = VALIDATION if self.recipe.data.evaluate else 'loss'
        losses = [row[key] for row in self.history if key in row]
        if patience is None or len(losses) <= patience:
            return False
        return bool(min(losses[-patience:]) >= min(losses[:-patience]))

    def evaluate(self) -> dict[str, float]:
        """IoU and loss of the averaged weights on the recipe's evaluation sets."""
        bf16 = self.fabric.strategy.precision.precision == 'bf16-mixed'
        timed = TimedNetwork(self.ema.module, self.recipe, bf16)
        parts = self.recipe.data.evaluate
        if self.recipe.loop.evaluate_limit:
            limit = {'limit': self.recipe.loop.evaluate_limit}
            parts = tuple(part.model_copy(update=limit) for part in parts)
        results = evaluate_sets(timed.score, self.recipe, parts, watch=timed.compare)
        return {VALIDATION: timed.loss, **figures(results)}


def layout_of(fabric: Fabric) -> torch.memory_format:
    """The order in memory that convolutions are fastest in.

    oneDNN on a CPU in 32 bit chooses blocked layouts of its own from NCHW, on AVX2 a quarter
    faster than channels last; 16-bit matrix units and GPUs want channels last.
    """
    plain = fabric.device.type == 'cpu' and fabric.strategy.precision.precision == '32-true'
    return torch.contiguous_format if plain else torch.channels_last


class _Timer:
    """How long the steps of an epoch took, and what share of it went into waiting for data."""

    def __init__(self, step: int) -> None:
        self._since, self._waited = step, 0.0
        self._begin = self._mark = time.perf_counter()

    def batch_came(self) -> None:
        self._waited += time.perf_counter() - self._mark

    def step_done(self) -> None:
        self._mark = time.perf_counter()

    def figures(self, step: int) -> dict[str, float]:
        elapsed = time.perf_counter() - self._begin
        return {
            'seconds_per_step': elapsed / (step - self._since),
            'waiting_share': self._waited / elapsed,
        }


class _Shown:
    """The progress bar of the first process; nothing in the others."""

    def __init__(self, bar: Any, goal: int, step: int) -> None:
        self._bar = bar
        self._task = bar.add_task('train', total=goal, completed=step) if bar else None

    def __call__(self, loss: float | None) -> None:
        if self._bar:
            text = 'batch skipped' if loss is None else f'loss {loss:.3f}'
            self._bar.update(self._task, advance=1, description=text)


def _short(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
