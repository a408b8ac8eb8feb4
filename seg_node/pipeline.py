"""One frame's way through the system: picture in, class ids out, at the camera's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg_node.camera.geometry import Geometry
from seg_node.camera.size import Size
from seg_node.decide import Decider, confidence
from seg_node.enlarge import Enlarger
from seg_node.errors import BackendError, FrameError, ModelError, last_line
from seg_node.images.frames import Frame, reorder
from seg_node.model.logits import LogitCode
from seg_node.model.runner import NetworkOutput, Runner
from seg_node.steadiness import Hysteresis
from seg_node.timing import Stopwatch

Array = npt.NDArray[np.uint8]
OutputSize = Literal['source', 'network']


@dataclass(frozen=True)
class Segmentation:
    """The answer to one frame.

    `mask`: uint8 (H, W), class ids. All arrays are the segmenter's own memory and valid until its
    next call: copy what is to be kept.
    """

    mask: Array
    geometry: Geometry
    runner: Runner
    _make_planes: Callable[[], tuple[Array, ...]]

    @cached_property
    def planes(self) -> tuple[Array, ...]:
        """K times uint8 (H, W): scores of the classes 1..K at the mask's size, made when asked
        for; empty for models without scores.
        """
        return self._make_planes()

    def confidence(self) -> Array | None:
        """uint8 (H, W): 255 x probability of the class in `mask`; None without scores."""
        if not self.planes:
            return None
        return confidence(self.mask, self.planes, self.runner.spec.head)


class Segmenter:
    """Runs a model on frames of any size. Not thread-safe: one worker, one segmenter.

    Args:
        runner: of `load_model(…).runner`; its input and answers are the segmenter's alone.
        output_size: masks of the picture's size (`source`) or of the network's (`network`).
    """

    def __init__(self, runner: Runner, output_size: OutputSize = 'source') -> None:
        self.runner = runner
        self.output_size = output_size
        self.decider = Decider(runner.spec)
        self.hysteresis: Hysteresis | None = None
        """Holds the mask still from frame to frame; the scores stay as they are."""
        self._enlarger: Enlarger | None = None
        self._small: dict[int, Array] = {}

    def enlarger(self, source: Size) -> Enlarger:
        """What brings scores to a camera size; made again when the size changes."""
        if self._enlarger is None or self._enlarger.geometry.source != source:
            spec = self.runner.spec
            geometry = Geometry.fit(source, self.runner.network, spec.resize, spec.interpolation)
            self._enlarger = Enlarger(geometry, self.decider, len(spec.classes) - 1)
        return self._enlarger

    def __call__(
        self, frame: Frame, watch: Stopwatch | None = None, stamp_ns: int | None = None
    ) -> Segmentation:
        """Segment one frame.

        Args:
            frame: a picture of any size and channel order.
            watch: books the stages preprocess, infer and postprocess.
            stamp_ns: the frame's time, for `hysteresis`.

        Shape:
            frame.pixels uint8 (H, W) or (H, W, 3|4) to mask uint8 (H, W), or the network's (h, w)
            where `output_size` is `network`.

        Raises:
            FrameError: a picture of less than 2x2 pixels.
            BackendError: the runtime failed.
        """
        watch = watch or Stopwatch()
        if frame.height < 2 or frame.width < 2:
            raise FrameError(
                'size', f'image {frame.width}x{frame.height}: expected at least 2x2 pixels'
            )
        enlarger = self.enlarger(Size(frame.width, frame.height))
        geometry = enlarger.geometry
        self._fill(frame, geometry)
        watch.lap('preprocess')
        output = self._run()
        watch.lap('infer')
        scores = () if output.scores is None else tuple(output.scores)
        decided = scores
        if self.hysteresis is not None and scores:
            decided = self.hysteresis(scores, stamp_ns)
        planes: Callable[[], tuple[Array, ...]]
        if self.output_size == 'network':
            mask = self._small_mask(output, decided, geometry)
            planes = partial(_cropped, geometry, scores, self.decider.code)
        elif output.scores is None and output.mask is not None:
            mask, planes = enlarger.nearest(output.mask), tuple
        else:
            mask, planes = enlarger.mask(decided), partial(enlarger.planes, scores)
        watch.lap('postprocess')
        return Segmentation(mask, geometry, self.runner, planes)

    def _small_mask(
        self, output: NetworkOutput, decided: tuple[Array, ...], geometry: Geometry
    ) -> Array:
        """The network's own mask; decided here where it has none or was told other thresholds."""
        told = self.decider.thresholds != self.runner.spec.thresholds
        if decided and (told or self.hysteresis is not None or output.mask is None):
            return self.decider([geometry.crop(plane) for plane in decided])
        if output.mask is None:
            raise ModelError(f'model {self.runner.spec.name}: neither a mask nor scores')
        return geometry.crop(output.mask)

    def _run(self) -> NetworkOutput:
        try:
            return self.runner.run()
        except Exception as error:
            raise BackendError(f'{self.runner.backend}: {last_line(error)}') from error

    def _fill(self, frame: Frame, geometry: Geometry) -> None:
        """Resize first, then bring the few remaining pixels to the network's channel order."""
        order = self.runner.spec.colour_order
        if frame.order == order:
            geometry.to_network(frame.pixels, self.runner.input)
            return
        channels = 1 if frame.pixels.ndim == 2 else frame.pixels.shape[2]
        network = geometry.network
        shape = (network.height, network.width, channels)[: frame.pixels.ndim]
        small = self._small.setdefault(channels, np.empty(shape, np.uint8))
        geometry.to_network(frame.pixels, small)
        self.runner.input[...] = reorder(small, frame.order, order)


def _cropped(
    geometry: Geometry, planes: tuple[Array, ...], code: LogitCode | None
) -> tuple[Array, ...]:
    cropped = tuple(geometry.crop(plane) for plane in planes)
    return cropped if code is None else tuple(code.scores(k, p) for k, p in enumerate(cropped))
