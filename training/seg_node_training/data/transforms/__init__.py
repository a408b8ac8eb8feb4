"""Transforms of a training pair, on torchvision v2: `build(steps)` makes the recipe's chain."""

from __future__ import annotations

from seg_node_training.data.transforms.build import STEPS, build
from seg_node_training.data.transforms.seeded import transformed

__all__ = ['STEPS', 'build', 'transformed']
