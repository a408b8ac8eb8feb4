"""The loaded model as the frames meet it: reloaded while it runs, replaced when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from seg_node.errors import BackendError, ConfigError, SegNodeError, cause_line
from seg_node.images.frames import Frame
from seg_node.model.loader import LoadedModel, load_model
from seg_node.model.runner import BackendName, RunOptions
from seg_node.pipeline import OutputSize, Segmentation, Segmenter
from seg_node.ros.decision import Decision
from seg_node.timing import Stopwatch

_OTHER: dict[str, BackendName] = {'openvino': 'onnxruntime', 'onnxruntime': 'openvino'}


@dataclass(frozen=True)
class ModelChoice:
    """What to load, and how large its masks are; `path` None: the model that ships."""

    path: str | None
    options: RunOptions
    output_size: OutputSize = 'source'

    def load(self) -> LoadedModel:
        """The model, warm. Raises `SegNodeError`, whatever stands in the way."""
        try:
            return load_model(self.path, self.options)
        except SegNodeError:
            raise
        except Exception as error:  # out of memory, no permission, a runtime's own
            name = self.path or 'the model that ships'
            raise ConfigError(f'{name}: cannot be loaded: {cause_line(error)}') from error


class Engine:
    """Segments frames of several cameras with one compiled model, on `workers` threads.

    `say(line)` is told when the runtime is replaced.
    """

    def __init__(
        self,
        choice: ModelChoice,
        decision: Decision | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._choice = choice
        self._say = say
        self._lock = threading.Lock()
        self._segmenters: dict[str, Segmenter] = {}
        self._decision = decision or Decision()
        self._fell_back = False
        self._falling = threading.Lock()
        self.loaded = choice.load()
        self._decision.check(self.loaded.runner.spec)

    @property
    def workers(self) -> int:
        """Threads that may segment at a time, each with a number of its own."""
        return len(self.loaded.runners)

    @property
    def fell_back(self) -> bool:
        """Whether the runtime that was asked for has failed and another one runs."""
        return self._fell_back

    @property
    def decision(self) -> Decision:
        """How scores become classes, from the next frame on."""
        return self._decision

    @decision.setter
    def decision(self, decision: Decision) -> None:
        decision.check(self.loaded.runner.spec)
        with self._lock:
            self._decision = decision
            for segmenter in self._segmenters.values():
                decision.apply(segmenter)

    def segment(
        self,
        camera: str,
        frame: Frame,
        watch: Stopwatch,
        stamp_ns: int | None = None,
        worker: int = 0,
    ) -> Segmentation:
        """Segment one frame, taken at `stamp_ns`; valid until the worker's or camera's next call.

        A camera's frames come one after the other, whichever worker takes them.

        A runtime that fails is replaced by the other one, once, and the frame is tried again.
        Raises `FrameError` for the frame, `BackendError` where no runtime works.
        """
        segmenter, loaded = self._segmenter(camera, worker)
        try:
            return segmenter(frame, watch, stamp_ns)
        except BackendError as error:
            with self._falling:
                if self.loaded is loaded:  # else another worker's frame has met it first
                    self._fall_back(error)
        return self._segmenter(camera, worker)[0](frame, watch, stamp_ns)

    def reload(self) -> LoadedModel:
        """Load the model file anew beside the running one and take its place between two frames.

        Raises `SegNodeError` where that cannot be; the running one then stays.
        """
        loaded = self._choice.load()
        old, new = self.loaded.runner.spec.classes, loaded.runner.spec.classes
        if old != new:
            raise ConfigError(
                f'{loaded.path}: expected the classes {", ".join(old.names)} of the running '
                f'model, got {", ".join(new.names)}: clean up and configure instead'
            )
        self._decision.check(loaded.runner.spec)
        self._take(loaded, fell_back=False)
        return loaded

    def _fall_back(self, error: BackendError) -> None:
        failed = self.loaded.runner.backend
        other = _OTHER.get(failed)
        if other is None or self._fell_back:
            raise error
        options = replace(self._choice.options, backend=other, device='cpu')
        try:
            loaded = replace(self._choice, options=options).load()
        except SegNodeError as second:
            raise BackendError(f'{error}; no other runtime: {second}') from error
        self._take(loaded, fell_back=True)
        self._say(f'{error}: goes on with {loaded.runner.backend}')

    def _take(self, loaded: LoadedModel, *, fell_back: bool) -> None:
        with self._lock:
            self.loaded = loaded
            self._fell_back = fell_back
            self._segmenters.clear()

    def _segmenter(self, camera: str, worker: int) -> tuple[Segmenter, LoadedModel]:
        with self._lock:
            segmenter = self._segmenters.get(camera)
            if segmenter is None:
                segmenter = Segmenter(self.loaded.runner, self._choice.output_size)
                self._decision.apply(segmenter)
                self._segmenters[camera] = segmenter
            segmenter.runner = self.loaded.runners[worker]
            return segmenter, self.loaded
