"""What nodes say of themselves on /diagnostics (REP-107)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from seg_node.mailbox import FrameAccount, FrameCounts
from seg_node.timing import Recorder

_FIELDS = ('received', 'published', 'superseded', 'stale', 'rejected', 'unread')


def status(
    name: str, level: bytes, message: str, values: Mapping[str, Any], hardware_id: str = ''
) -> DiagnosticStatus:
    """One status. diagnostic_updater is not used: it is C++ or a distribution's own package."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def array(stamp: Any, *statuses: DiagnosticStatus) -> DiagnosticArray:
    """A /diagnostics message; `stamp` is the time of the report, as REP-107 has it."""
    message = DiagnosticArray(status=list(statuses))
    message.header.stamp = stamp
    return message


def stage_values(recorder: Recorder) -> dict[str, str]:
    """`<stage>_ms_<percentile>` of every stage."""
    return {
        f'{stage}_ms_{p}': f'{value:.3f}'
        for stage, summary in recorder.summary().items()
        for p, value in summary.items()
    }


class Rates:
    """Frames a second in and out over the last seconds."""

    def __init__(self, window: int = 5) -> None:
        self._points: deque[tuple[float, FrameCounts]] = deque(maxlen=window + 1)

    def update(self, counts: FrameCounts) -> tuple[float, float]:
        """Book the counts now; return fps in and fps out."""
        now = time.monotonic()
        self._points.append((now, counts))
        then, old = self._points[0]
        if now <= then:
            return 0.0, 0.0
        span = now - then
        return (counts.received - old.received) / span, (counts.published - old.published) / span


@dataclass(frozen=True)
class Condition:
    """What the node says of itself: `state` of its lifecycle and the last `problem`.

    `broken`: what keeps every frame from getting through, such as inference that hangs.
    """

    state: str
    problem: str
    details: dict[str, str]
    broken: str = ''


def camera_status(
    name: str,
    condition: Condition,
    account: FrameAccount,
    recorder: Recorder,
    rates: Rates,
) -> DiagnosticStatus:
    """The status of one camera with state, counts, rates and percentiles in ms."""
    counts = account.counts()
    fps_in, fps_out = rates.update(counts)
    values: dict[str, Any] = {'state': condition.state, **condition.details}
    values |= {'fps_in': f'{fps_in:.2f}', 'fps_out': f'{fps_out:.2f}'}
    values |= {f'frames_{field}': getattr(counts, field) for field in _FIELDS}
    values |= {f'rejected_{cause}': n for cause, n in sorted(account.causes().items())}
    values |= stage_values(recorder)
    problem = condition.broken or condition.problem
    if problem:
        values['last_problem'] = problem
    level, message = _verdict(condition, counts, fps_in, fps_out)
    return status(name, level, message, values, condition.details.get('model', ''))


def _verdict(
    condition: Condition, counts: FrameCounts, fps_in: float, fps_out: float
) -> tuple[bytes, str]:
    if condition.broken:
        return DiagnosticStatus.ERROR, condition.broken
    if condition.state != 'active':
        level = DiagnosticStatus.ERROR if condition.problem else DiagnosticStatus.WARN
        return level, condition.problem or f'{condition.state}: no frames are taken'
    if not counts.received:
        return DiagnosticStatus.WARN, 'active, but no frame has come yet: is the topic right?'
    if fps_in == 0.0:
        return DiagnosticStatus.STALE, 'active, but frames have stopped coming'
    if condition.problem:
        return DiagnosticStatus.WARN, condition.problem
    if fps_out == 0.0 and counts.unread:
        return DiagnosticStatus.OK, 'nobody reads: nothing is inferred (see lazy)'
    return DiagnosticStatus.OK, 'segmenting'
