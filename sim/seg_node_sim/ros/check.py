"""Whether the source node could drive with certain parameters, before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from seg_node.child_answers import run_check
from seg_node.errors import ConfigError
from seg_node.ros.declared import declared, settings
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.maps import town_names
from seg_node_sim.ros.parameters import SourceSettings


def check(parameters: Mapping[str, Any], embedded: bool) -> None:
    """Raises `ConfigError` or `InputError`, one line.

    `embedded`: our own server will be started for it, with these host, port and town.
    """
    require_carla()
    defaults = {item.name: item.default for item in declared(SourceSettings)}
    request = settings(SourceSettings, {**defaults, **parameters}).request
    if not embedded:
        return
    if request.town.rpartition('/')[2] not in town_names():
        known = ', '.join(town_names())
        raise ConfigError(f'town: expected one of {known}, got {request.town!r}')
    try:
        socket.create_server((request.host, request.port)).close()
    except OSError as error:
        raise ConfigError(f'port {request.port} on {request.host}: {error.strerror}') from None


def main(arguments: Sequence[str] | None = None) -> int:
    """See `run_check`."""
    return run_check(check, arguments)
