"""One thread that takes the frame whose camera has waited longest, and lets it be processed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from seg_node.errors import cause_line
from seg_node.mailbox import Mailboxes
from seg_node.ros.guard import Report

Process = Callable[[str, Any], None]


class FrameLoop:
    """Takes frames from `boxes` and calls `process(camera, message)` for each, one at a time.

    `process` settles the frame's account; what it raises all the same goes to `report`.
    """

    def __init__(self, boxes: Mailboxes[Any], process: Process, report: Report) -> None:
        self._boxes = boxes
        self._process = process
        self._report = report
        self._since: float | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name='seg_node frames', daemon=True)

    def start(self) -> None:
        """Begin to take frames. Raises `RuntimeError` where no thread can be started."""
        self._thread.start()

    def stop(self, limit_s: float) -> bool:
        """Finish the frame in hand; False where that takes longer than `limit_s`.

        The boxes must be closed. A frame that hangs is left behind.
        """
        self._stopping = True
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    def trouble(self, limit_s: float) -> str:
        """What keeps frames from getting through: a frame in hand for longer than `limit_s`
        seconds, or a thread that has ended; '' where all is well.
        """
        since = self._since
        if since is not None and (hanging := time.monotonic() - since) > limit_s:
            return f'inference hangs: one frame has been in hand for {hanging:.1f} s'
        if not self._stopping and self._thread.ident is not None and not self._thread.is_alive():
            return 'the thread that segments has ended: deactivate and activate'
        return ''

    def _run(self) -> None:
        while (taken := self._boxes.take()) is not None:
            self._since = time.monotonic()
            try:
                self._process(*taken)
            except Exception as error:
                self._report('internal', cause_line(error))
            finally:
                self._since = None
