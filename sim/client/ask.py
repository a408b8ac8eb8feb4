"""Questions to a CARLA server that need no client: one msgpack-rpc call over TCP each.

The `carla` client brings threads into the process that asks; a plain call does not.
"""

from __future__ import annotations

import socket
from typing import Any

import msgpack

from seg_node_sim.client.errors import ServerError
from seg_node_sim.client.session import Address


def ask(address: Address, method: str, *arguments: Any) -> Any:
    """The result of one call. Raises `ServerError` when nobody answers, or with an error."""
    request = msgpack.packb([0, 1, method, [[False], *arguments]])
    try:
        with socket.create_connection((address.host, address.port), address.timeout_s) as sock:
            sock.settimeout(address.timeout_s)
            sock.sendall(request)
            unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 28)
            while data := sock.recv(1 << 16):
                unpacker.feed(data)
                for _, _, error, result in unpacker:
                    return _unwrap(address, method, error, result)
    except OSError as error:
        raise ServerError(f'no CARLA server on {address}: {error.strerror or error}') from None
    except (ValueError, msgpack.UnpackException):
        raise ServerError(f'{address}: what answers there is not a CARLA server') from None
    raise ServerError(f'{address}: closed the connection without an answer to {method}')


def town_of(address: Address) -> str:
    """Short name of the town that is loaded."""
    return str(ask(address, 'get_map_info')[0]).rsplit('/', 1)[-1]


def towns_of(address: Address) -> tuple[str, ...]:
    """Short names of the towns that can be loaded; of `Town01` and `Town01_Opt` the first."""
    names = {str(name).rsplit('/', 1)[-1] for name in ask(address, 'get_available_maps')}
    return tuple(sorted(n for n in names if n.removesuffix('_Opt') == n or
                        n.removesuffix('_Opt') not in names))  # fmt: skip


def _unwrap(address: Address, method: str, error: Any, result: Any) -> Any:
    # The envelope of a value: [[1, value]], of a failure: [[0, [message]]].
    if error is not None or not isinstance(result, list) or len(result[0]) != 2:
        raise ServerError(f'{address}: {method}: {error or result!r}')
    good, value = result[0]
    if not good:
        raise ServerError(f'{address}: {method}: {value[0]}')
    return value
