"""Where a run takes place: devices, processes, precision; and a stop that waits for the step."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.tensorboard import TensorBoardLogger
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only

from seg_node.errors import ConfigError
from seg_node_training.config import LoopPrecision

UsablePrecision = Literal['32-true', 'bf16-mixed', '16-mixed']


@dataclass(frozen=True)
class Machine:
    """What the command line says about the machine; the recipe knows nothing of it.

    `accelerator`: `auto` takes a GPU where there is one. `devices`: processes on each of `nodes`
    machines. Under `torchrun` both come from its environment.
    """

    accelerator: Literal['auto', 'cpu', 'gpu'] = 'auto'
    devices: int | Literal['auto'] = 'auto'
    nodes: int = 1

    def fabric(self, precision: LoopPrecision, folder: Path) -> Fabric:
        """A launched Fabric: DDP where there is more than one process (gloo on CPUs, NCCL else).

        Raises `ConfigError` when the machine has not got what is asked for.
        """
        world = int(os.environ.get('WORLD_SIZE', 1))
        local = int(os.environ.get('LOCAL_WORLD_SIZE', world))
        if 'TORCHELASTIC_RUN_ID' in os.environ:
            devices: int | str = local
            nodes = world // local
        else:
            devices, nodes = self.devices, self.nodes
        gpu = self.accelerator == 'gpu' or (
            self.accelerator == 'auto' and torch.cuda.is_available()
        )
        if not gpu and devices == 'auto':
            devices = 1
        try:
            fabric = Fabric(
                accelerator='gpu' if gpu else 'cpu',
                devices=devices,
                num_nodes=nodes,
                precision=usable_precision(precision, gpu),
                loggers=TensorBoardLogger(folder, name='tensorboard', version=''),
            )
        except (MisconfigurationException, RuntimeError, ValueError) as error:
            text = ' '.join(str(error).split())[:200]
            raise ConfigError(f'--accelerator, --devices: {text}') from None
        fabric.launch()
        return fabric


def is_first_process() -> bool:
    """Whether this process writes and prints; also before a Fabric is launched."""
    return not getattr(rank_zero_only, 'rank', 0)


def usable_precision(precision: LoopPrecision, gpu: bool) -> UsablePrecision:
    """What the hardware has of `precision`: bf16 else fp16 on a GPU; bf16 on a CPU with it."""
    if precision == '32-true':
        return precision
    if gpu:
        return 'bf16-mixed' if torch.cuda.is_bf16_supported() else '16-mixed'
    if precision == 'auto':
        # since torch 2.8
        capabilities: dict[str, Any] = getattr(torch.cpu, 'get_capabilities', dict)()
        return 'bf16-mixed' if capabilities.get('avx512_bf16') else '32-true'
    return 'bf16-mixed'


class StopRequest:
    """While entered, the first SIGINT or SIGTERM only sets `asked`, so that the step ends whole.

    The second one interrupts at once. Outside the main thread signals stay as they are.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
