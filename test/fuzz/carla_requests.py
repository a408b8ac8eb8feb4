"""Sensible requests of a CARLA client, to be spoiled: arguments by method."""

from __future__ import annotations

import random
from typing import Any

from fuzzing import spoiled

ZERO, PLACE = [0.0, 0.0, 0.0], [[10.0, 5.0, 1.0], [0.0, 90.0, 0.0]]
CAR = [1, 'vehicle.tesla.model3', [['role_name', 4, 'hero'], ['color', 5, '1,2,3']]]
CAMERA = [1, 'sensor.camera.rgb', [['image_size_x', 2, '64'], ['fov', 3, '90']]]
SPAWN = [[0, [CAR, PLACE, [False], 0, '', [[[2, [0, [0.5, 0.0, 0.0, False, False, False, 0]]]]]]]]
ROAD = (
    '<OpenDRIVE><road id="1" junction="-1" length="200"><planView><geometry s="0" x="0" y="0" '
    'hdg="0" length="200"><line/></geometry></planView><lanes><laneSection s="0"><center><lane '
    'id="0" type="none"/></center><right><lane id="-1" type="driving"><width sOffset="0" a="3.5" '
    'b="0" c="0" d="0"/></lane></right></laneSection></lanes></road></OpenDRIVE>'
)
PHYSICS = [
    [[0.0, 400.0]], 6000.0, 1.0, 0.15, 2.0, 0.35, True, 0.5, 10.0, 4.0, [[4.0, 0.5, 0.65]],
    1800.0, 0.3, ZERO, [[0.0, 1.0]], [[3.5, 0.25, 38.0, 35.0, 1500.0, 0.0, 3.0, 20.0, 3e3, ZERO]],
    False,
]  # fmt: skip

# `ID` stands for the id of an actor that exists, mostly.
ID = 'ID'
REQUESTS: dict[str, list[Any]] = {
    'version': [],
    'get_episode_info': [],
    'get_sensor_token': [1],
    'get_episode_settings': [],
    'set_episode_settings': [
        [False, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3e3, 2e3, True]
    ],
    'tick_cue': [],
    'get_map_info': [],
    'get_required_files': ['Nav'],
    'get_available_maps': [],
    'load_new_episode': ['Atlantis', True, 0],
    'copy_opendrive_to_file': [ROAD, [2.0, 50.0, 1.0, 0.6, True, True, True]],
    'get_weather_parameters': [],
    'set_weather_parameters': [[10.0] * 14],
    'query_lights_state': [''],
    'project_point': [[0.0, 0.0, 2.0], [0.0, 0.0, -1.0], 5.0],
    'start_recorder': ['drive.log', False],
    'stop_recorder': [],
    'add_traffic_manager_running': [['127.0.0.1', 28990]],
    'is_traffic_manager_running': [28990],
    'get_traffic_manager_running': [28990],
    'destroy_traffic_manager': [28990],
    'get_actors_by_id': [[1, 2, 3]],
    'get_spectator': [],
    'spawn_actor': [CAR, PLACE],
    'spawn_actor_with_parent': [CAMERA, PLACE, ID, 0, ''],
    'destroy_actor': [ID],
    'get_actor_bounding_box': [ID],
    'set_actor_location': [ID, ZERO],
    'set_actor_transform': [ID, PLACE],
    'set_actor_target_velocity': [ID, ZERO],
    'set_actor_target_angular_velocity': [ID, ZERO],
    'enable_actor_constant_velocity': [ID, ZERO],
    'disable_actor_constant_velocity': [ID],
    'add_actor_impulse': [ID, ZERO],
    'add_actor_force': [ID, ZERO],
    'add_actor_torque': [ID, ZERO],
    'set_actor_simulate_physics': [ID, True],
    'set_actor_collisions': [ID, True],
    'set_actor_enable_gravity': [ID, True],
    'apply_control_to_vehicle': [ID, [0.5, 0.1, 0.0, False, False, False, 0]],
    'apply_ackermann_control_to_vehicle': [ID, [0.1, 0.0, 5.0, 1.0, 0.0]],
    'apply_control_to_walker': [ID, [[1.0, 0.0, 0.0], 1.4, False]],
    'set_walker_state': [ID, PLACE, 1.4],
    'set_vehicle_light_state': [ID, [3]],
    'get_vehicle_light_state': [ID],
    'get_physics_control': [ID],
    'apply_physics_control': [ID, PHYSICS],
    'get_wheel_steer_angle': [ID, 0],
    'apply_batch': [[SPAWN, [[6, [ID, PLACE]]], [[1, [ID]]]], False],
    'no_such_call': [1],
}


def request(rng: random.Random, chance: float = 0.15) -> tuple[str, list[Any]]:
    """A method and its arguments, spoiled in places."""
    method = rng.choice(list(REQUESTS))
    known = rng.randrange(1, 30)
    return method, [spoiled(_fill(a, known), rng, chance) for a in REQUESTS[method]]


def _fill(value: Any, known: int) -> Any:
    if value == ID and isinstance(value, str):
        return known
    return [_fill(v, known) for v in value] if isinstance(value, list) else value
