"""Parameters of the node itself: model, frames, when it works."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from seg_node.errors import ConfigError, problems_line
from seg_node.model.runner import (
    BACKENDS,
    DEVICES,
    PRECISIONS,
    BackendName,
    PrecisionName,
    RunOptions,
    default_cache_dir,
)
from seg_node.pipeline import OutputSize
from seg_node.ros.decision import Decision
from seg_node.ros.declared import parameter
from seg_node.scheduling import Scheduling

ImageTransport = Literal['raw', 'compressed']
TRANSPORTS = ('raw', 'compressed')
OUTPUT_SIZES = ('source', 'network')


@dataclass(frozen=True)
class NodeSettings:
    """All of them at one time."""

    autostart: bool = parameter(True, 'Configure and activate without being told.', read_only=True)
    cameras: tuple[str, ...] = parameter(
        (),
        'Cameras that one model serves: names (<name>/image gives ~/<name>/mask), a rig file '
        '(.json), or a pattern of image topics (/rig/*/image); empty: one, image and ~/mask.',
        read_only=True,
    )
    model: str = parameter('', 'Path of the model file (.onnx); empty: the one that ships.')
    backend: BackendName = parameter('auto', 'Runtime that runs the model.', choices=BACKENDS)
    precision: PrecisionName = parameter(
        'int8',
        'Number format; auto measures int8 against bf16 where both exist.',
        choices=PRECISIONS,
    )
    device: str = parameter('cpu', 'Where ONNX Runtime runs the model.', choices=DEVICES)
    threads: int = parameter(0, 'Threads of the network; 0: one a core.', bounds=(0, 256))
    streams: int = parameter(
        0,
        'Frames of different cameras that are in the network at a time, each on its share of the '
        'threads; 0: as many as there are cameras, at most one a thread.',
        bounds=(0, 256),
    )
    cpu_affinity: tuple[int, ...] = parameter(
        (), 'CPUs that the process runs on, by number; empty: all that it was started with.'
    )
    nice: int = parameter(
        0, 'Niceness of the process, lower is more urgent; 0: as started.', bounds=(-20, 19)
    )
    realtime_priority: int = parameter(
        0, 'Priority of the process under SCHED_FIFO; 0: ordinary scheduling.', bounds=(0, 99)
    )
    cache_dir: str = parameter('', "Compile cache; empty: the user's cache folder, off: none.")
    image_transport: ImageTransport = parameter(
        'raw', 'Kind of message on image.', choices=TRANSPORTS
    )
    output_size: OutputSize = parameter(
        'source', "Size of the mask: the camera's or the network's.", choices=OUTPUT_SIZES
    )
    lazy: bool = parameter(
        True, 'Infer only while somebody reads an output; other frames are unread.', live=True
    )
    max_frame_age_ms: float = parameter(
        0.0,
        'A frame older than this when its turn comes is skipped; 0: never. Milliseconds.',
        bounds=(0.0, 1e9),
        live=True,
    )
    queue_size: int = parameter(
        0,
        'Frames that may wait; a newer one supersedes the oldest. 0: 1, or 10 with rtabmap.mode '
        '(a map wants every frame, a controller the newest).',
        bounds=(0, 100),
    )
    thresholds: tuple[int, ...] = parameter(
        (),
        "Score from 1 to 255 that each foreground class needs; empty: the model's own.",
        live=True,
    )
    hysteresis: int = parameter(
        0,
        'Scores from 1 to 127 that a pixel must pass its threshold by to change its class, '
        'against flicker: 48 is a good value; 0: none.',
        bounds=(0, 127),
        live=True,
    )
    watchdog_s: float = parameter(
        5.0,
        'Seconds that one frame may take before diagnostics say that inference hangs; '
        'deactivating waits no longer.',
        bounds=(0.1, 3600.0),
        live=True,
    )
    diagnostics_period_s: float = parameter(
        1.0, 'Seconds between messages on /diagnostics.', bounds=(0.1, 3600.0)
    )

    def __post_init__(self) -> None:
        problems = [
            f'thresholds: expected 1 to 255, got {value}'
            for value in self.thresholds
            if not 1 <= value <= 255
        ]
        if problems:
            raise ConfigError(problems_line('parameters', problems))

    def decision(self) -> Decision:
        """How scores become classes."""
        return Decision(self.thresholds, self.hysteresis)

    def scheduling(self) -> Scheduling:
        """Where and how urgently the process runs."""
        return Scheduling(self.cpu_affinity, self.nice, self.realtime_priority)

    def run_options(self, cameras: int = 1) -> RunOptions:
        """What the model loader is asked for, for so many cameras."""
        caches: dict[str, Path | None] = {'': default_cache_dir(), 'off': None}
        asked = RunOptions(
            backend=self.backend,
            precision=self.precision,
            device=self.device,
            threads=self.threads,
            cache_dir=caches.get(self.cache_dir, Path(self.cache_dir).expanduser()),
        )
        # On one graphics card side by side is no gain.
        most = 1 if self.device != 'cpu' else self.streams or asked.thread_count
        return replace(asked, streams=min(cameras, most))
