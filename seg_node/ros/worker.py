"""One thread that takes the newest frame, segments it and publishes the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seg_node.errors import FrameError
from seg_node.frames import Frame
from seg_node.mailbox import FrameAccount, Mailbox
from seg_node.pipeline import Segmentation, Segmenter
from seg_node.timing import Recorder, Stopwatch


@dataclass(frozen=True)
class Steps:
    """What the worker does with a message; `age_ms` by the node's clock."""

    decode: Callable[[Any], Frame]
    age_ms: Callable[[Any], float]
    max_age_ms: Callable[[], float]
    publish: Callable[[Any, Frame, Segmentation], None]
    publish_late: Callable[[Any, Frame, Segmentation], None]
    """What may come after the mask and is not part of its latency: the overlay."""
    report: Callable[[str, str], None]
    """Called with cause and one line for each frame that is lost."""


class Worker:
    """Between the mailbox and the outputs. Every frame put ends in exactly one account."""

    def __init__(
        self,
        segmenter: Segmenter,
        steps: Steps,
        account: FrameAccount,
        recorder: Recorder,
        queue_size: int = 1,
    ) -> None:
        self.segmenter = segmenter
        self._steps = steps
        self._account = account
        self._recorder = recorder
        self._mailbox: Mailbox[Any] = Mailbox(queue_size)
        self._thread = threading.Thread(target=self._run, name='seg_node worker', daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def put(self, message: Any) -> None:
        """Hand in a frame; an older one that nobody took is superseded."""
        self._account.received()
        superseded = self._mailbox.put(message)
        if superseded is message:
            self._account.rejected('inactive')
        elif superseded is not None:
            self._account.superseded()

    def stop(self) -> None:
        """Finish the frame in hand and end the thread."""
        for _ in self._mailbox.close():
            self._account.rejected('inactive')
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while (message := self._mailbox.take()) is not None:
            try:
                answer = self._process(message)
            except FrameError as error:
                self._account.rejected(error.cause)
                self._steps.report(error.cause, str(error))
            except Exception as error:  # the node lives on, whatever a frame does
                self._account.rejected('internal')
                self._steps.report('internal', f'{type(error).__name__}: {error}')
            else:
                if answer is not None:
                    self._finish(message, *answer)

    def _finish(self, message: Any, frame: Frame, result: Segmentation) -> None:
        """What comes after the mask; the frame is booked as published, whatever happens here."""
        try:
            self._recorder.add('frame_age', self._steps.age_ms(message))
            self._steps.publish_late(message, frame, result)
        except Exception as error:
            self._steps.report('internal', f'{type(error).__name__}: {error}')

    def _process(self, message: Any) -> tuple[Frame, Segmentation] | None:
        limit = self._steps.max_age_ms()
        age = self._steps.age_ms(message)
        if limit and age > limit:
            self._account.stale()
            self._steps.report('stale', f'frame is {age:.0f} ms old, the limit is {limit:.0f} ms')
            return None
        watch = Stopwatch()
        frame = self._steps.decode(message)
        watch.lap('decode')
        result = self.segmenter(frame, watch)
        self._steps.publish(message, frame, result)
        watch.lap('publish')
        self._account.published()
        self._recorder.add_stages(watch)
        return frame, result
