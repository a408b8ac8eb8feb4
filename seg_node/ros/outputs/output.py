"""What an output is."""

from __future__ import annotations

from typing import Any

from seg_node.ros.segmented import JoinedFrame, SegmentedFrame


class Output:
    """Takes every segmented frame while somebody reads it.

    `late`: comes after the mask and is not part of its latency.
    """

    late = False

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        raise NotImplementedError

    def begin(self, header: Any) -> None:
        """The first frame after activation has come, read or not; `header` is its own."""

    def take(self, frame: SegmentedFrame) -> None:
        """Publish what is made of the frame, under its header. Raises `FrameError`."""
        raise NotImplementedError

    def pass_by(self) -> None:
        """A frame went by that nobody reads here."""


class SetOutput:
    """Takes frames that have met the camera_info, and depth where there is one, of their stamp.

    `stage`: name of its time in the diagnostics. `needs_range`: sets come with `range_source`.
    `needs_scores`: frames come with the scores of their classes.
    """

    stage = ''
    needs_range = False
    needs_scores = False

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        raise NotImplementedError

    def take(self, whole: JoinedFrame) -> None:
        """Publish what is made of the set, under its header. Raises `FrameError`."""
        raise NotImplementedError

    def tend(self) -> None:
        """Frames come, or readers do or go; on the executor's thread.

        An output with topics of its own subscribes while it is read.
        """

    def rest(self) -> None:
        """No frames come from now on: give up what `tend` subscribed."""

    def status(self, name: str) -> Any:
        """Its own DiagnosticStatus below the camera's `name`; None: nothing to say."""
        return None
