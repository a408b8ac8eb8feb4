"""Stamps of messages, rclpy's and a bag's alike."""

from __future__ import annotations

from typing import Any


def nanoseconds(time: Any) -> int:
    """A `builtin_interfaces/Time` in nanoseconds."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def stamp_ns(message: Any) -> int:
    """The stamp in the header of `message`, in nanoseconds."""
    return nanoseconds(message.header.stamp)
