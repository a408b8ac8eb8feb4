"""One frame's way through the system: picture in, class ids out, at the camera's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg_node.decide import Decider, confidence
from seg_node.enlarge import Enlarger
from seg_node.errors import FrameError
from seg_node.frames import Frame, reorder
from seg_node.geometry import Geometry, Size
from seg_node.model.runner import Runner
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
    """Runs a model on frames of any size. Not thread-safe: one worker, one segmenter."""

    def __init__(self, runner: Runner, output_size: OutputSize = 'source') -> None:
        self.runner = runner
        self.output_size = output_size
        self.decider = Decider(runner.spec)
        self._enlarger: Enlarger | None = None
        self._small: dict[int, Array] = {}

    def enlarger(self, source: Size) -> Enlarger:
        """What brings scores to a camera size; made again when the size changes."""
        if self._enlarger is None or self._enlarger.geometry.source != source:
            spec = self.runner.spec
            geometry = Geometry.fit(source, self.runner.network, spec.resize, spec.interpolation)
            self._enlarger = Enlarger(geometry, self.decider, len(spec.classes) - 1)
        return self._enlarger

    def __call__(self, frame: Frame, watch: Stopwatch | None = None) -> Segmentation:
        """Segment one frame; raises `FrameError` for a picture that cannot be resized.

        Books the stages preprocess, infer and postprocess on `watch`.
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
        output = self.runner.run()
        watch.lap('infer')
        scores = () if output.scores is None else tuple(output.scores)
        planes: Callable[[], tuple[Array, ...]]
        if self.output_size == 'network':
            mask = geometry.crop(output.mask)
            if scores and self.decider.thresholds != self.runner.spec.thresholds:
                mask = self.decider([geometry.crop(plane) for plane in scores])
            planes = partial(_cropped, geometry, scores)
        elif not scores:
            mask, planes = enlarger.nearest(output.mask), tuple
        else:
            mask, planes = enlarger.mask(scores), partial(enlarger.planes, scores)
        watch.lap('postprocess')
        return Segmentation(mask, geometry, self.runner, planes)

    def _fill(self, frame: Frame, geometry: Geometry) -> None:
        """Resize first, then bring the few remaining pixels to the network's channel order."""
        wanted = self.runner.spec.colour_order
        if frame.order == wanted:
            geometry.to_network(frame.pixels, self.runner.input)
            return
        channels = 1 if frame.pixels.ndim == 2 else frame.pixels.shape[2]
        network = geometry.network
        shape = (network.height, network.width, channels)[: frame.pixels.ndim]
        small = self._small.setdefault(channels, np.empty(shape, np.uint8))
        geometry.to_network(frame.pixels, small)
        self.runner.input[...] = reorder(small, frame.order, wanted)


def _cropped(geometry: Geometry, scores: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(geometry.crop(plane) for plane in scores)
