"""Errors of the client side."""

from __future__ import annotations

from seg_node.errors import SegNodeError


class ServerError(SegNodeError):
    """The CARLA server cannot be reached, or refused what was asked of it."""


class ServerLost(ServerError):
    """The server went away in the middle of a drive; connecting again may help."""


class ClientFailed(ServerLost):
    """The CARLA library crashed or hangs; the server may be well."""
