"""Threads that take the frame whose camera has waited longest, and let it be processed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from seg_node.errors import cause_line
from seg_node.mailbox import Mailboxes
from seg_node.ros.guard import Report

Process = Callable[[int, str, Any], None]


class FrameLoop:
    """Takes frames from `boxes` and calls `process(worker, camera, message)` for each.

    `workers` frames are in hand at a time, at most one of a camera. `process` settles the frame's
    account; what it raises all the same goes to `report`.
    """

    def __init__(
        self, boxes: Mailboxes[Any], process: Process, report: Report, workers: int = 1
    ) -> None:
        self._boxes = boxes
        self._process = process
        self._report = report
        self._since: list[float | None] = [None] * workers
        self._stopping = False
        self._threads = [
            threading.Thread(
                target=self._run, args=(worker,), name=f'seg_node frames {worker}', daemon=True
            )
            for worker in range(workers)
        ]

    def start(self) -> None:
        """Begin to take frames. Raises `RuntimeError` where no thread can be started."""
        for thread in self._threads:
            thread.start()

    def stop(self, limit_s: float) -> bool:
        """Finish the frames in hand; False where that takes longer than `limit_s`.

        The boxes must be closed. A frame that hangs is left behind.
        """
        self._stopping = True
        end = time.monotonic() + limit_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def trouble(self, limit_s: float) -> str:
        """What keeps frames from getting through: a frame in hand for longer than `limit_s`
        seconds, or a thread that has ended; '' where all is well.
        """
        now = time.monotonic()
        hanging = max((now - since for since in self._since if since is not None), default=0.0)
        if hanging > limit_s:
            return f'inference hangs: one frame has been in hand for {hanging:.1f} s'
        ended = any(t.ident is not None and not t.is_alive() for t in self._threads)
        if not self._stopping and ended:
            return 'a thread that segments has ended: deactivate and activate'
        return ''

    def _run(self, worker: int) -> None:
        while (taken := self._boxes.take()) is not None:
            self._since[worker] = time.monotonic()
            try:
                self._process(worker, *taken)
            except Exception as error:
                self._report('internal', cause_line(error))
            finally:
                self._since[worker] = None
                self._boxes.done(taken[0])
