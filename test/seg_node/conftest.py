"""The striped road of the benchmark, small, as the world whose truth is known."""

from __future__ import annotations

import pytest

from seg_node.camera.size import Size
from seg_node.lane_map.cost import StripedRoad


@pytest.fixture(scope='session')
def road() -> StripedRoad:
    return StripedRoad(size=Size(320, 180))
