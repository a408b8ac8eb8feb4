"""Whether masks belong to frames that were sent, each once, in the order of sending."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable

_KEPT = 600
"""Frames that are remembered: no node keeps one for so long."""


class FrameOrder:
    """Books frames and masks by header, as they are heard.

    A mask may be heard before its frame, since both come over different topics: it is judged when
    its frame comes, or when so many others have come that it cannot come any more. Frames may have
    the same header, from a clock that stands still or a source that starts again: each may have
    a mask. A source that the node has matched before us has sent frames that we cannot hear.
    """

    def __init__(self) -> None:
        self.frames = self.masks = 0
        self.newest = -1
        """Number of the newest frame that has a mask; frames count from 0."""
        self.violations: list[str] = []
        self._kept: deque[Hashable] = deque()
        self._numbers: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        self._waiting: dict[Hashable, int] = {}
        self._joining = False
        self._first: int | None = None

    def joined(self) -> None:
        """A source was matched. Masks come in order: until the first of a frame heard from now on,
        those of no frame may be of frames that it sent before.
        """
        self._joining, self._first = True, None

    def frame(self, header: Hashable) -> None:
        """A frame was heard."""
        if self._joining and self._first is None:
            self._first = self.frames
        self._numbers[header].append(self.frames)
        self._kept.append(header)
        self.frames += 1
        if len(self._kept) > _KEPT:
            self._forget(self._kept.popleft())
        if self._waiting.pop(header, None) is not None:
            self._judge(header)
        late = [h for h, since in self._waiting.items() if self.frames - since > _KEPT]
        for early in () if self._joining else late:
            self._strange(early)

    def mask(self, header: Hashable) -> None:
        """A mask was heard."""
        self.masks += 1
        if header in self._numbers:
            self._judge(header)
        else:
            self._waiting[header] = self.frames

    def close(self) -> None:
        """No frame comes any more: masks that wait for theirs belong to none."""
        for header in () if self._joining else list(self._waiting):
            self._strange(header)

    def _forget(self, header: Hashable) -> None:
        self._numbers[header].popleft()
        if not self._numbers[header]:
            del self._numbers[header]

    def _judge(self, header: Hashable) -> None:
        number = next((n for n in self._numbers[header] if n > self.newest), None)
        if number is None:
            newest = self._numbers[header][-1]
            self.violations.append(f'mask of {header}: frame {newest} after frame {self.newest}')
        else:
            self.newest = number
            if self._joining and self._first is not None and number >= self._first:
                self._joining = False
                self._waiting.clear()

    def _strange(self, header: Hashable) -> None:
        del self._waiting[header]
        self.violations.append(f'mask of {header}: no such frame was sent')
