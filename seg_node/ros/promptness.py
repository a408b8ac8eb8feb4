"""How late a node answers services and its timers fire, seen from another node."""

from __future__ import annotations

import time
from typing import Any

from lifecycle_msgs.srv import GetState
from rclpy.node import Node

from seg_node.timing import Recorder

_EVERY_S = 0.1
_GIVEN_UP_S = 5.0
"""An answer that has not come by then does not come: the node was killed."""


class Promptness:
    """Asks a lifecycle node for its state ten times a second, and is told of its diagnostics.

    `period_s`: how often the node is to send diagnostics.
    """

    def __init__(self, asker: Node, target: str, period_s: float = 1.0) -> None:
        self._client = asker.create_client(GetState, f'{target}/get_state')
        self._timer = asker.create_timer(_EVERY_S, self._ask)
        self._period = period_s
        self._pending: Any = None
        self._asked = self._heard = 0.0
        self._times = Recorder(window=None)

    def figures(self) -> dict[str, dict[str, float]]:
        """`service`: from question to answer; `timer`: off its period; p50, p95, p99, ms.

        What the asker itself is late counts as well: an upper bound.
        """
        return self._times.summary()

    def diagnostics_came(self) -> None:
        """To be called for each message of the node on /diagnostics."""
        now = time.perf_counter()
        off = abs(now - self._heard - self._period)
        if off < self._period * 0.9:  # else it was down in between
            self._times.add('timer', off * 1e3)
        self._heard = now

    def _ask(self) -> None:
        now = time.perf_counter()
        if self._pending is not None and now - self._asked < _GIVEN_UP_S:
            return
        if self._pending is not None:
            self._client.remove_pending_request(self._pending)
            self._pending = None
        if not self._client.service_is_ready():
            return
        self._asked = now
        self._pending = self._client.call_async(GetState.Request())
        self._pending.add_done_callback(self._answered)

    def _answered(self, answer: Any) -> None:
        if answer is self._pending:
            self._times.add('service', (time.perf_counter() - self._asked) * 1e3)
            self._pending = None
