"""Calls by name: every request gets exactly one answer, an error envelope at worst."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, get_type_hints

from seg_node.errors import SegNodeError
from seg_node_sim.server import rpc, wire
from seg_node_sim.server.limits import Notices

_LOG = logging.getLogger(__name__)
_F = TypeVar('_F', bound=Callable[..., Any])

# Calls that return nothing take another failure envelope than those that return a value.
_VOID_PREFIXES = (
    'add_actor_',
    'apply_',
    'clear_',
    'close_',
    'copy_',
    'disable_',
    'draw_',
    'enable_',
    'freeze_',
    'load_',
    'open_',
    'reset_',
    'set_',
    'show_vehicle_',
    'stop_',
    'unload_',
    'update_',
)


# What an argument of a call may be, by its annotation; `Any` is a struct, `wire` decodes it.
_CHECKS: dict[Any, Callable[[Any, str], Any]] = {
    int: lambda data, name: wire.whole(data, name, -(1 << 63), (1 << 63) - 1),
    float: wire.number,
    bool: lambda data, name: bool(wire.whole(data, name, 0, 1)),
    str: wire.text,
    list[int]: lambda data, name: [wire.whole(v, name) for v in wire.items(data, 0, name)],
}


class CallGroup(Protocol):
    """An object with methods marked by `value`, `void` or `raw`."""


class MarkedCall(Protocol):
    """One of them, with the envelopes of its success and of its failure."""

    envelope: tuple[Callable[[Any], Any], Callable[[str], Any]]

    def __call__(self, *args: Any) -> Any:
        """The bare result; TypeError and the like for wrong arguments."""


def value(function: _F) -> _F:
    """Marks a call that returns a value. Arguments are checked against the annotations."""
    return _call(function, rpc.value, rpc.value_error)


def void(function: _F) -> _F:
    """Marks a call that returns nothing. Arguments are checked against the annotations."""
    return _call(function, lambda _: rpc.VOID_OK, rpc.void_error)


def raw(function: _F) -> _F:
    """Marks a call whose result goes out as it is."""
    return _call(function, lambda result: result, rpc.value_error)


def _call(function: _F, success: Callable[..., Any], failure: Callable[..., Any]) -> _F:
    names = list(inspect.signature(function).parameters)[1:]  # without self

    @functools.cache
    def checks() -> list[tuple[str, Callable[[Any, str], Any] | None]]:
        hints = get_type_hints(function)
        return [(name, _CHECKS.get(hints[name])) for name in names]

    @functools.wraps(function)
    def checked(self: Any, *args: Any) -> Any:
        if len(args) > len(names):
            raise TypeError(f'expected {len(names)} arguments, got {len(args)}')
        return function(
            self,
            *(check(arg, name) if check else arg for arg, (name, check) in zip(args, checks())),
        )

    checked.envelope = (success, failure)  # type: ignore[attr-defined]
    return checked  # type: ignore[return-value]


class Dispatcher:
    """Finds the method for a request among groups of calls and answers."""

    def __init__(self, groups: Sequence[CallGroup]) -> None:
        self._calls: dict[str, MarkedCall] = {}
        self._notices = Notices(_LOG)
        for group in groups:
            for name in dir(group):
                function = getattr(group, name)
                if hasattr(function, 'envelope'):
                    self._calls[name] = function

    @property
    def names(self) -> frozenset[str]:
        """Every call that is answered."""
        return frozenset(self._calls)

    def handle(self, request: rpc.Request) -> None:
        """Answers one request."""
        request.answer(self.result(request.method, request.args))

    def result(self, method: str, args: Sequence[Any]) -> Any:
        """The enveloped result of a call; `method` as the client sent it."""
        call = self._calls.get(method)
        if call is None:
            is_void = method.startswith(_VOID_PREFIXES)
            fail = rpc.void_error if is_void else rpc.value_error
            return fail(f'{method[:80]}: this server does not have this call')
        success, failure = call.envelope
        try:
            return success(call(*args))
        except SegNodeError as error:
            if failure is rpc.void_error:  # most clients do not wait for these
                self._notices.warn(method, f'{method}: {rpc.plain(str(error))}')
            return failure(str(error))
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            _LOG.debug('bad arguments of %s', method, exc_info=True)
            return failure(f'{method}: bad arguments: {error}')
        except Exception as error:
            self._notices.warn(method, f'error in {method}: {error}', trace=True)
            return failure(f'{method}: {type(error).__name__}: {error}')
