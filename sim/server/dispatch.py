"""Calls by name: every request gets exactly one answer, an error envelope at worst."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from seg_node.errors import SegNodeError
from seg_node_sim.server import rpc

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
    'show_',
    'stop_',
    'unload_',
    'update_',
)


class CallGroup(Protocol):
    """An object with methods marked by `value`, `void` or `raw`."""


def value(function: _F) -> _F:
    """Marks a call that returns a value."""
    function.envelope = (rpc.value, rpc.value_error)  # type: ignore[attr-defined]
    return function


def void(function: _F) -> _F:
    """Marks a call that returns nothing."""
    function.envelope = (lambda _: rpc.VOID_OK, rpc.void_error)  # type: ignore[attr-defined]
    return function


def raw(function: _F) -> _F:
    """Marks a call whose result goes out as it is."""
    function.envelope = (lambda result: result, rpc.value_error)  # type: ignore[attr-defined]
    return function


class Dispatcher:
    """Finds the method for a request among groups of calls and answers."""

    def __init__(self, groups: Sequence[CallGroup]) -> None:
        self._calls: dict[str, Callable[..., Any]] = {}
        for group in groups:
            for name in dir(group):
                function = getattr(group, name)
                if hasattr(function, 'envelope'):
                    self._calls[name] = function

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._calls)

    def handle(self, request: rpc.Request) -> None:
        request.answer(self.result(request.method, request.args))

    def result(self, method: str, args: Sequence[Any]) -> Any:
        """The enveloped result of a call."""
        call = self._calls.get(method)
        if call is None:
            is_void = method.startswith(_VOID_PREFIXES)
            fail = rpc.void_error if is_void else rpc.value_error
            return fail(f'{method}: this server does not have this call')
        success, failure = call.envelope
        try:
            return success(call(*args))
        except SegNodeError as error:
            return failure(str(error))
        except (TypeError, ValueError, IndexError, KeyError) as error:
            _LOG.debug('bad arguments of %s', method, exc_info=True)
            return failure(f'{method}: bad arguments: {error}')
        except Exception as error:
            _LOG.exception('error in %s', method)
            return failure(f'{method}: {type(error).__name__}: {error}')
