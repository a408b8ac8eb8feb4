"""Batch commands: the same calls as single ones, by index, answered one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seg_node.errors import SegNodeError
from seg_node_sim.server import rpc, wire
from seg_node_sim.server.actor_calls import ActorCalls

_SPAWN, _DESTROY = 0, 1
_SET_AUTOPILOT, _CONSOLE, _TRAFFIC_LIGHT = 16, 20, 21

# Command index -> method of ActorCalls; the payload's fields are its arguments.
_CALLS = {
    2: 'apply_control_to_vehicle',
    3: 'apply_ackermann_control_to_vehicle',
    4: 'apply_control_to_walker',
    5: 'apply_physics_control',
    6: 'set_actor_transform',
    7: 'set_walker_state',
    8: 'set_actor_target_velocity',
    9: 'set_actor_target_angular_velocity',
    10: 'add_actor_impulse',
    11: 'add_actor_force',
    12: 'add_actor_angular_impulse',
    13: 'add_actor_torque',
    14: 'set_actor_simulate_physics',
    15: 'set_actor_enable_gravity',
    _SET_AUTOPILOT: 'set_actor_autopilot',
    17: 'show_vehicle_debug_telemetry',
    18: 'set_vehicle_light_state',
    19: 'set_actor_location',
}


class BatchRunner:
    """Runs a list of commands in order; a failed one does not stop the others."""

    def __init__(self, calls: ActorCalls) -> None:
        self._calls = calls

    def apply(self, commands: Sequence[Any]) -> list[Any]:
        """One ``[[1, actor id]]`` or ``[[0, [message]]]`` a command."""
        return [self._answer(command) for command in commands]

    def _answer(self, command: Any) -> list[Any]:
        try:
            return [[1, self._run(*_split(command))]]
        except SegNodeError as error:
            return rpc.value_error(str(error))
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            return rpc.value_error(f'bad command: {error}')

    def _run(self, index: int, payload: Sequence[Any]) -> int:
        if index == _SPAWN:
            return self._spawn(payload)
        actor_id = wire.whole(payload[0], 'actor')
        if index == _DESTROY:
            self._calls.destroy_actor(actor_id)
        elif index in _CALLS:
            getattr(self._calls, _CALLS[index])(*payload)
        else:
            name = {_CONSOLE: 'ConsoleCommand', _TRAFFIC_LIGHT: 'SetTrafficLightState'}
            raise ValueError(f'{name.get(index, index)} is not supported by this server')
        return actor_id

    def _spawn(self, payload: Sequence[Any]) -> int:
        fields = wire.items(payload, 6, 'spawn command')[:6]
        description, transform, parent, attachment, socket, do_after = fields
        parent_id = wire.decode_optional(parent)
        if parent_id:
            actor = self._calls.spawn_actor_with_parent(
                description, transform, parent_id, attachment, socket
            )
        else:
            actor = self._calls.spawn_actor(description, transform)
        new_id = int(actor[0])
        for command in do_after:
            index, inner = _split(command)
            if index == _SPAWN:
                raise ValueError('a spawn command cannot follow another one')
            # FutureActor: the commands after a spawn are about what was just spawned.
            self._run(index, [new_id, *inner[1:]])
        return new_id


def _split(command: Any) -> tuple[int, Sequence[Any]]:
    """Index and payload of a command: `[[index, payload]]`, or without the outer list."""
    inner = wire.items(command, 1, 'command')
    index, payload = wire.items(inner[0] if len(inner) == 1 else inner, 2, 'command')[:2]
    return wire.whole(index, 'command'), wire.items(payload, 1, 'payload of a command')
