"""One frame's way through the system: picture in, class ids out, at the camera's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg_node.decide import Decider, confidence
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

    `mask`: uint8 (H, W), class ids. `planes`: K times uint8 (H, W), scores of the classes 1..K at
    the mask's size; empty for models without scores. All are the segmenter's own memory and valid
    until its next call: copy what is to be kept.
    """

    mask: Array
    planes: tuple[Array, ...]
    geometry: Geometry
    runner: Runner

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
        self._geometry: Geometry | None = None
        self._mask: Array = np.empty((0, 0), np.uint8)
        self._planes: tuple[Array, ...] = ()
        self._small: dict[int, Array] = {}

    def geometry(self, source: Size) -> Geometry:
        """Geometry of a camera size; made again, with its buffers, when the size changes."""
        if self._geometry is None or self._geometry.source != source:
            spec = self.runner.spec
            self._geometry = Geometry.fit(
                source, self.runner.network, spec.resize, spec.interpolation
            )
            count = len(spec.classes) - 1
            shape = (source.height, source.width)
            self._mask = np.empty(shape, np.uint8)
            self._planes = tuple(np.empty(shape, np.uint8) for _ in range(count))
        return self._geometry

    def __call__(self, frame: Frame, watch: Stopwatch | None = None) -> Segmentation:
        """Segment one frame; raises `FrameError` for a picture that cannot be resized.

        Books the stages preprocess, infer and postprocess on `watch`.
        """
        watch = watch or Stopwatch()
        if frame.height < 2 or frame.width < 2:
            raise FrameError(
                'size', f'image {frame.width}x{frame.height}: expected at least 2x2 pixels'
            )
        geometry = self.geometry(Size(frame.width, frame.height))
        self._fill(frame, geometry)
        watch.lap('preprocess')
        output = self.runner.run()
        watch.lap('infer')
        scores = () if output.scores is None else tuple(output.scores)
        if self.output_size == 'network':
            planes = tuple(geometry.crop(plane) for plane in scores)
            result = Segmentation(geometry.crop(output.mask), planes, geometry, self.runner)
        elif not scores:
            mask = geometry.to_source(output.mask, self._mask, nearest=True)
            result = Segmentation(mask, (), geometry, self.runner)
        else:
            planes = tuple(
                geometry.to_source(plane, out) for plane, out in zip(scores, self._planes)
            )
            mask = self.decider(planes, self._mask)
            result = Segmentation(mask, planes, geometry, self.runner)
        watch.lap('postprocess')
        return result

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
