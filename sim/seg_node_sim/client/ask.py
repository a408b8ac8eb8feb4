"""Questions to a CARLA server that need no client: one msgpack-rpc call over TCP each.

The `carla` client brings threads into the process that asks; a plain call does not.
"""

from __future__ import annotations

from typing import Any

import msgpack

from seg_node_sim.client.errors import ServerError
from seg_node_sim.client.session import Address
from seg_node_sim.server.plain_client import PlainClient

_OTHER = '{}: what answers there is not a CARLA server'


def ask(address: Address, method: str, *arguments: Any) -> Any:
    """The result of one call. Raises `ServerError` when nobody answers, or with an error."""
    try:
        with PlainClient(address.port, address.host, address.timeout_s) as client:
            result = client.call(method, *arguments)
    except OSError as error:
        raise ServerError(f'no CARLA server on {address}: {error.strerror or error}') from None
    except (ValueError, msgpack.UnpackException):
        raise ServerError(_OTHER.format(address)) from None
    return _unwrap(address, method, result)


def town_of(address: Address) -> str:
    """Short name of the town that is loaded."""
    info = ask(address, 'get_map_info')
    if not isinstance(info, list) or not info or not isinstance(info[0], str):
        raise ServerError(_OTHER.format(address))
    return _short(info[0])


def towns_of(address: Address) -> tuple[str, ...]:
    """Short names of the towns that can be loaded; of `Town01` and `Town01_Opt` the first."""
    answer = ask(address, 'get_available_maps')
    if not isinstance(answer, list) or not all(isinstance(name, str) for name in answer):
        raise ServerError(_OTHER.format(address))
    names = {_short(name) for name in answer}
    return tuple(sorted(n for n in names if n.removesuffix('_Opt') == n or
                        n.removesuffix('_Opt') not in names))  # fmt: skip


def _short(name: str) -> str:
    return name.rsplit('/', 1)[-1]


def _unwrap(address: Address, method: str, result: Any) -> Any:
    # The envelope of a value: [[1, value]], of a failure: [[0, [message]]].
    inner = result[0] if isinstance(result, list) and result else None
    if not isinstance(inner, list) or len(inner) != 2:
        raise ServerError(f'{address}: {method}: {repr(result)[:80]}')
    good, value = inner
    if not good:
        why = value[0] if isinstance(value, list) and value else value
        raise ServerError(f'{address}: {method}: {str(why)[:300]}')
    return value
