"""Rigid links between frames, as TF has them, without time: for what is bolted together."""

from __future__ import annotations

from collections import deque

import numpy as np

from seg_node.transforms.poses import Float, Pose


class FrameTree:
    """Latest transform of each child frame to its parent (REP-105); lookups go any way."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[str, Float]] = {}

    def add(self, parent: str, child: str, pose: Pose) -> None:
        """Set the place of `child` in `parent`; leading slashes are dropped."""
        self._links[child.lstrip('/')] = (parent.lstrip('/'), pose.matrix())

    def lookup(self, target: str, source: str) -> Float | None:
        """float64 (4, 4): `source` frame -> `target` frame; None when no chain joins them."""
        target, source = target.lstrip('/'), source.lstrip('/')
        edges: dict[str, list[tuple[str, Float]]] = {}
        for child, (parent, matrix) in self._links.items():
            edges.setdefault(child, []).append((parent, matrix))
            inverse: Float = np.asarray(np.linalg.inv(matrix), np.float64)
            edges.setdefault(parent, []).append((child, inverse))
        known = {source: np.eye(4)}
        queue = deque([source])
        while queue:
            frame = queue.popleft()
            if frame == target:
                return known[frame]
            for other, matrix in edges.get(frame, ()):
                if other not in known:
                    known[other] = matrix @ known[frame]
                    queue.append(other)
        return None
