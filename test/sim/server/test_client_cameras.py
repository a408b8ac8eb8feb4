"""Images as the client gets them: frames that fit, pixels that are the renderer's own."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node_sim.maps import load_town
from seg_node_sim.render import Renderer
from seg_node_sim.scene import Body, Camera, CarlaPose, Weather
from seg_node_sim.server.catalogue import VEHICLES

PORT = 21200
PRELOAD = True
ALL = frozenset({'rgb', 'semantic', 'depth', 'instance'})


def _bodies(cars):
    kinds = {kind.id: kind for kind in VEHICLES}
    for actor_id, name, place, colour in cars:
        kind = kinds[name]
        rgb = tuple(int(part) for part in colour.split(','))
        yield Body(actor_id, name, CarlaPose(*place), kind.extent, rgb, kind.tags[0])


def test_images_are_exact_and_belong_to_their_frame(server, run_scenario, tmp_path):
    file = tmp_path / 'images.npz'
    seen = run_scenario('cameras', PORT, file=str(file))
    assert seen['mismatches'] == 0 and seen['after_stop'] == 0
    assert set(seen['slow']) == {2}
    assert seen['fov'] == 90.0 and seen['time'] == pytest.approx(seen['snapshot_time'])
    images = np.load(file)
    truth = Renderer(load_town('Highway')).render(
        Camera(96, 54, 90.0),
        CarlaPose(*seen['pose']),
        list(_bodies(seen['cars'])),
        Weather(),
        ALL,
        seen['time'],
    )
    assert all((images[kind][..., 3] == 255).all() for kind in images.files)
    # Poses travel as float32: a pixel on an edge may fall to the other side.
    tags = images['semantic_segmentation'][..., 2]
    assert np.mean(tags != truth['semantic']) < 0.005
    assert not images['semantic_segmentation'][..., :2].any()
    assert len(np.unique(tags)) >= 3
    code = images['depth'].astype(np.int64)
    metres = (code[..., 2] + 256 * code[..., 1] + 65536 * code[..., 0]) / (2**24 - 1) * 1000.0
    same = tags == truth['semantic']
    error = np.abs(metres - truth['depth'])[same]
    assert np.percentile(error, 95) < 1e-3 + 1e-3 * np.percentile(truth['depth'][same], 95)
    assert (metres[tags == 11] == 1000.0).all()
    assert (images['instance_segmentation'][..., 2] == tags).all()
    difference = np.abs(images['rgb'][..., :3].astype(int) - truth['rgb'])
    assert np.mean(difference) < 1.0


def test_weather_round_trip_changes_the_picture(server, run_scenario):
    seen = run_scenario('weather', PORT)
    assert seen['noon'] == 45.0
    assert seen['error'] < 1e-4
    noon, night = seen['sky']
    assert night < 0.75 * noon
