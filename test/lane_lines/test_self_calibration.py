"""Pitch and yaw of a camera by the lines of the road, with nothing known to begin with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seg_node.errors import ConfigError
from seg_node.lane_lines.calibrate import SelfCalibration
from seg_node.lane_lines.kept_angles import KeptAngles
from seg_node.lane_lines.stripes import find_stripes

FAR_OFF = [
    (0.0, 0.0),
    (3.0, -1.0),
    (-1.5, 2.0),
    (5.0, 0.5),
    (-5.0, 1.0),
    (10.0, -2.0),
    (13.5, 3.0),
]


def stripes_of(drawn, road, painted, driven):
    return find_stripes(road.draw(painted, driven), (drawn.LANE,), road.view().rays)


def calibrated(drawn, road, painted, frames: int = 40, needed: int = 20) -> SelfCalibration:
    calibration = SelfCalibration(needed=needed)
    for i in range(frames):
        calibration.add(stripes_of(drawn, road, painted, i * 1.0))
    return calibration


@pytest.mark.parametrize(('pitch', 'yaw'), FAR_OFF)
def test_pitch_and_yaw_are_found_from_any_start(drawn, pitch, yaw):
    road = drawn.Road(pitch=math.radians(pitch), yaw=math.radians(yaw))
    painted = [drawn.Stripe(1.7, dash=3.0, gap=6.0), drawn.Stripe(-1.8), drawn.Stripe(5.2)]
    angles = calibrated(drawn, road, painted).require()
    assert math.degrees(angles.pitch) == pytest.approx(pitch, abs=0.1)
    assert math.degrees(angles.yaw) == pytest.approx(yaw, abs=0.1)
    assert 0.0 < math.degrees(angles.pitch_deviation) < 0.1
    assert angles.frames >= 20


def test_pitch_in_the_embedded_world():
    """True tags of a town with kerbs, stop lines and crossings, on six of its streets."""
    pytest.importorskip('seg_node_sim')
    from seg_node.camera.intrinsics import Intrinsics
    from seg_node.camera.rays import RayTable
    from seg_node.camera.size import Size
    from seg_node.class_map import load_class_map
    from seg_node_sim.maps.towns import load_town
    from seg_node_sim.render import Renderer
    from seg_node_sim.scene import Camera, CarlaPose, Weather

    town = load_town('Grid')
    size = Size(640, 360)
    rays, camera = RayTable.of(Intrinsics.pinhole(size, 90.0)), Camera(640, 360, 90.0)
    to_ids = load_class_map('carla_0_9_14').apply_ids
    renderer = Renderer(town)
    for pitch in (-4.0, 1.0, 5.0, 11.0):
        calibration = SelfCalibration(needed=12)
        for place in (town.spawn_points[i] for i in (0, 4, 8, 20, 48, 52)):
            for step in range(4):
                pose = place.compose(CarlaPose(float(step), 0.0, 1.6, -pitch, 0.4))
                seen = renderer.render(camera, pose, [], Weather(), {'semantic'}, 0.0)
                calibration.add(find_stripes(to_ids(seen['semantic']), (2,), rays))
        angles = calibration.require()
        assert math.degrees(angles.pitch) == pytest.approx(pitch, abs=0.3)
        assert math.degrees(angles.yaw) == pytest.approx(-0.4, abs=0.3)
        assert math.degrees(angles.pitch_deviation) < 0.2
    renderer.close()


def test_a_pitching_vehicle_widens_the_deviation(drawn):
    painted = [drawn.Stripe(1.7), drawn.Stripe(-1.8)]
    random = np.random.default_rng(4)
    deviations = []
    for shake in (0.0, 0.5):
        calibration = SelfCalibration(needed=20)
        for _ in range(30):
            road = drawn.Road(pitch=math.radians(4.0 + shake * random.standard_normal()))
            calibration.add(stripes_of(drawn, road, painted, 0.0))
        angles = calibration.require()
        assert math.degrees(angles.pitch) == pytest.approx(4.0, abs=0.3)
        deviations.append(math.degrees(angles.pitch_deviation))
    assert deviations[1] > 5.0 * deviations[0]


def test_one_line_says_nothing(drawn):
    calibration = calibrated(drawn, drawn.Road(), [drawn.Stripe(-1.8)])
    assert calibration.result is None
    with pytest.raises(
        ConfigError, match='expected 20 frames with two straight lines, got 0 of 0'
    ):
        calibration.require()


def test_two_stripes_of_one_line_say_nothing(drawn):
    painted = [drawn.Stripe(-1.8, dash=3.0, gap=3.0)]
    assert calibrated(drawn, drawn.Road(), painted).result is None


def test_bends_and_turning_vehicles_are_left_out(drawn):
    road, bend = drawn.Road(), [drawn.Stripe(y, 0.0, 0.02) for y in (1.7, -1.8)]
    calibration = SelfCalibration(needed=5)
    bent = stripes_of(drawn, road, bend, 0.0)
    straight = stripes_of(drawn, road, [drawn.Stripe(1.7), drawn.Stripe(-1.8)], 0.0)
    for _ in range(20):
        calibration.add(bent)
        calibration.add(straight, turn_per_m=0.02)
    assert calibration.result is None


def test_a_wrong_beginning_is_outvoted(drawn):
    """A drive that begins among lines that meet elsewhere, as on a ramp."""
    ramp, road = drawn.Road(pitch=math.radians(-4.0)), drawn.Road(pitch=math.radians(5.0))
    painted = [drawn.Stripe(1.7), drawn.Stripe(-1.8)]
    calibration = SelfCalibration(needed=10)
    begun, later = (stripes_of(drawn, camera, painted, 0.0) for camera in (ramp, road))
    for stripes in [begun] * 12 + [later] * 60:
        calibration.add(stripes)
    assert math.degrees(calibration.require().pitch) == pytest.approx(5.0, abs=0.1)


def test_angles_are_kept_for_the_next_run_and_given_up_for_a_moved_camera(drawn, tmp_path):
    painted, file = [drawn.Stripe(1.7), drawn.Stripe(-1.8)], tmp_path / 'angles.json'

    def run(pitch: float, frames: int) -> KeptAngles:
        kept = KeptAngles(file, 'front')
        stripes = stripes_of(drawn, drawn.Road(pitch=math.radians(pitch)), painted, 0.0)
        for _ in range(frames):
            if kept.wants():
                kept.add(stripes, 0.0)
        return kept

    assert math.degrees(run(6.0, 40).angles.pitch) == pytest.approx(6.0, abs=0.1)
    again = run(6.0, 1)
    assert again.from_file
    assert math.degrees(again.angles.pitch) == pytest.approx(6.0, abs=0.1)
    assert again.angles.pitch_deviation > 0.0
    assert math.degrees(run(2.0, 90).angles.pitch) == pytest.approx(6.0, abs=0.1)
    assert math.degrees(run(2.0, 500).angles.pitch) == pytest.approx(2.0, abs=0.1)
    assert run(2.0, 5000).seen == 600
