"""A short road with all kinds of lines, and a renderer for it."""

from __future__ import annotations

import pytest

from seg_node_sim.maps import town_from_opendrive
from seg_node_sim.maps.builder import (
    CURB,
    LaneSpec,
    Network,
    State,
    arc,
    dashed,
    double,
    line,
    solid,
    symmetric,
)
from seg_node_sim.render import Renderer
from seg_node_sim.scene import Camera, CarlaPose


@pytest.fixture(scope='package')
def short_town():
    """100 m of a two-lane town road, the last third bent; kerbs and pavements."""
    lanes = (
        LaneSpec('driving', 3.5, dashed(3.0, 3.0)),
        LaneSpec('driving', 3.5, solid('white', 0.15)),
        LaneSpec('shoulder', 0.6, CURB),
        LaneSpec('sidewalk', 2.5),
    )
    network = Network('Short')
    profile = symmetric(lanes, double('solid solid', 'yellow'))
    network.road(State(0.0, 0.0, 0.0), [line(70.0), arc(90.0, 22.0)], profile)
    return town_from_opendrive('Short', network.text(), seed=4)


@pytest.fixture(scope='package')
def short_renderer(short_town):
    """Its renderer, two threads."""
    renderer = Renderer(short_town, threads=2)
    yield renderer
    renderer.close()


@pytest.fixture
def front_camera():
    """640 x 360, 90 degrees."""
    return Camera(640, 360, 90.0)


@pytest.fixture
def front_pose():
    """In the right inner lane, 1.6 m up, looking a little down. CARLA's y is to the right."""
    return CarlaPose(4.0, 1.75, 1.6, -8.0, 0.0, 0.0)
