"""Files without their index or their end: records one after the other, as far as they go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from seg_node.bags import mcap_records, ros1_scan
from seg_node.bags.channel import BagMessage, Channel, Complain

Scan = Callable[[Path], Iterator[tuple[Channel, int, bytes]]]


class ScannedFile:
    """A file read from its beginning each time; raises `ValueError` when nothing is in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._scan = _scan_of(path)
        self.channels = tuple(Counter(channel for channel, _, _ in self._scan(path)).items())
        if not self.channels:
            raise ValueError('no message could be recovered')

    def messages(
        self, topics: Sequence[str], start_ns: int | None, complain: Complain
    ) -> Iterator[BagMessage]:
        """See `Storage`; in the order of the file."""
        for channel, log_ns, data in self._scan(self._path):
            if channel.topic in topics and (start_ns is None or log_ns >= start_ns):
                yield BagMessage(channel, log_ns, data)

    def close(self) -> None:
        """The file is open only while it is read."""


def _scan_of(path: Path) -> Scan:
    if mcap_records.fits(path):
        return mcap_records.scan
    if ros1_scan.fits(path):
        return ros1_scan.scan
    raise ValueError('neither an MCAP nor a ROS 1 bag')
