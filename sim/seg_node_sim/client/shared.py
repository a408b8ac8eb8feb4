"""Image memory that a drive's child process fills and its parent reads, without a copy between."""

from __future__ import annotations

import mmap
import os

import numpy as np

from seg_node_sim.client.rig import Rig


class SharedFrames:
    """`slots` sets of images of a rig in anonymous shared memory (Linux memfd).

    The parent creates it, the child opens it by the inherited descriptor. It vanishes with the
    last of the two, however they end.
    """

    def __init__(self, rig: Rig, slots: int, descriptor: int | None = None) -> None:
        self._places: dict[str, tuple[int, tuple[int, int, int]]] = {}
        offset = 0
        for camera in rig.cameras:
            shape = (camera.image_size_y, camera.image_size_x, 4)
            self._places[camera.id] = (offset, shape)
            # Whole cache lines, so that arrays are aligned.
            offset += (shape[0] * shape[1] * 4 + 63) // 64 * 64
        self._slot_bytes = offset
        self.slots = slots
        if descriptor is None:
            descriptor = os.memfd_create('seg_node_frames')
            os.ftruncate(descriptor, offset * slots)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, offset * slots)

    def images(self, slot: int) -> dict[str, np.ndarray]:
        """Views of one slot: BGRA uint8 (H, W, 4) by camera id."""
        return {
            name: np.ndarray(shape, np.uint8, self._memory, slot * self._slot_bytes + offset)
            for name, (offset, shape) in self._places.items()
        }

    def close_descriptor(self) -> None:
        """Close the descriptor; the mapping lives as long as arrays use it."""
        os.close(self.descriptor)
