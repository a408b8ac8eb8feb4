"""The unmodified client against the server: connect, tick, spawn, drive, load."""

from __future__ import annotations

import pytest

from seg_node_sim.maps import load_town, town_names

PORT = 21100
CAMERA_KINDS = ('rgb', 'semantic_segmentation', 'depth', 'instance_segmentation')


def test_connect_shows_map_blueprints_and_version(server, run_scenario):
    seen = run_scenario('connect', PORT)
    assert seen['version'] == seen['client'] == '0.9.16'
    assert seen['map'] == 'Carla/Maps/Highway'
    assert {name.rsplit('/', 1)[-1] for name in seen['maps']} == set(town_names())
    assert seen['spawn_points'] == len(load_town('Highway').spawn_points)
    assert seen['lane_type'] == 'Driving' and seen['off_lane'] < 0.5
    assert sum(name.startswith('vehicle.') for name in seen['ids']) >= 12
    assert {f'sensor.camera.{kind}' for kind in CAMERA_KINDS} <= set(seen['ids'])
    assert (seen['fov'], seen['width'], seen['spectator']) == (90.0, 800, 'spectator')


def test_synchronous_ticks_are_steps_of_one_frame(server, run_scenario):
    seen = run_scenario('ticks', PORT)
    assert seen['steps'] == [1] and seen['snapshot_frame'] == 0
    assert seen['delta'] == pytest.approx(0.05, abs=1e-6)
    assert seen['settings'] == [True, 0.05]


def test_asynchronous_world_ticks_by_itself_in_real_time(server, run_scenario):
    seen = run_scenario('asynchronous', PORT)
    assert not seen['synchronous']
    assert all(step >= 1 for step in seen['frames'])
    assert all(delta > 0.0 for delta in seen['deltas'])
    assert seen['elapsed'] == pytest.approx(seen['wall'], abs=0.2)
    assert seen['speed'] >= 0.5


def test_spawn_attach_move_destroy(server, run_scenario):
    seen = run_scenario('actors', PORT)
    assert seen['type'] == 'vehicle.tesla.model3' and seen['color'] == '26,26,26'
    assert seen['extent'] == pytest.approx([2.396, 0.744], abs=1e-3)
    assert seen['parent'] and seen['mount_error'] < 2e-4
    assert seen['try_spawn']
    assert seen['collision'] == 'Spawn failed because of collision at spawn position'
    assert 'image_size_x: expected int' in seen['bad_attributes']
    assert 'fov: expected float of 1 to 170' in seen['bad_attributes']
    assert seen['listed'] == ['sensor.camera.rgb', 'spectator', 'vehicle.tesla.model3']
    assert seen['lifted'] > 4.5 and seen['fallen'] == pytest.approx(0.0, abs=0.02)
    assert seen['destroyed'] == [True, True] and seen['left'] == ['spectator']
    assert seen['spawn_again']


def test_controls_move_the_car_as_a_driver_expects(server, run_scenario):
    seen = run_scenario('drive', PORT)
    assert 5.0 < seen['faster'] < 15.0 and seen['moved'] > 8.0
    assert 5.0 < seen['turn'] < 90.0 and seen['rate'] > 0.0 and seen['wheel'] > 1.0
    assert seen['stopped'] == 0.0 and seen['backwards'] < -1.0
    assert seen['ackermann'] == pytest.approx(8.0, abs=0.3)
    assert seen['limit'] == 100.0
    assert seen['lights'] == 2 and seen['wheels'] == 4


def test_batch_commands(server, run_scenario):
    seen = run_scenario('batch', PORT)
    assert seen['first_errors'] == ['', 'Spawn failed because of collision at spawn position', '']
    assert seen['speed'] > 1.0
    assert seen['second_errors'][:5] == [''] * 5
    assert '987654' in seen['second_errors'][5]
    assert seen['walked'] == pytest.approx([0.0, 1.0], abs=0.05)
    assert seen['moved_off'] < 0.01 and seen['parent']
    assert seen['destroyed'] == ['', '', ''] and seen['left'] == ['spectator']


def test_load_reload_and_generate(server, run_scenario, tmp_path):
    xodr = tmp_path / 'own.xodr'
    xodr.write_text(load_town('Roundabout').xodr)
    other = next(name for name in town_names() if name != 'Highway')
    seen = run_scenario('load', PORT, town=other, xodr=str(xodr))
    assert seen['first'][1:] == ['Carla/Maps/Highway', 2]
    assert seen['second'] == [seen['first'][0] + 1, 'Carla/Maps/Highway', 1] and seen['kept']
    assert seen['third'] == [seen['first'][0] + 2, f'Carla/Maps/{other}', 1]
    assert 'Atlantis' in seen['unknown'] and seen['still'] == f'Carla/Maps/{other}'
    assert seen['generated'][:2] == ['Carla/Maps/OpenDriveMap', True] and seen['generated'][2] > 0
    assert seen['broken']
    # The next test of this module starts where this one did.
    assert run_scenario('autopilot', PORT, town='Highway', manager_port=28100, cars=1, ticks=2)


def test_calls_the_server_does_not_have_are_answered(server, run_scenario):
    seen = run_scenario('wrong_calls', PORT)
    assert 'get_telemetry_data' in seen['telemetry']
    assert 'cast_ray' in seen['ray']
    assert seen['after']


def test_other_sensors(server, run_scenario):
    seen = run_scenario('sensors', PORT)
    assert max(seen['gnss']) < 1e-6
    assert seen['gravity'] == pytest.approx([0.0, 0.0, 9.81], abs=0.05)
    assert seen['compass'] == pytest.approx((seen['yaw'] + 90.0) % 360.0, abs=0.1)
    assert seen['quiet'] == 0 and seen['own'] and seen['other']
    assert seen['impulse'] > 1000.0 and seen['pushed'] > 0.2
    assert seen['marks'] >= 1
