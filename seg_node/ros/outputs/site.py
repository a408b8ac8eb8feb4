"""Where a camera's outputs are made: its names, its publishers, who reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from seg_node.classes import ClassSet
from seg_node.ros.camera_tables import CameraTables
from seg_node.ros.parameters import ParameterSet
from seg_node.ros.qos import create_publisher

OUTPUT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
T = TypeVar('T')


class OutputPublisher:
    """A publisher that knows whether it is read.

    By rclpy's matched events; where the distribution or the middleware has none (Humble), by
    asking the middleware each time.
    """

    def __init__(
        self, node: Any, kind: Any, topic: str, qos: QoSProfile, on_change: Callable[[], None]
    ) -> None:
        self._node = node
        self._on_change = on_change
        self._read: bool | None = None
        options = _matched_option(self._on_matched)
        try:
            self._publisher = create_publisher(node, kind, topic, qos, **options)
        except _unsupported_events():
            self._publisher, options = create_publisher(node, kind, topic, qos), {}
        if options:
            self._read = bool(self._publisher.get_subscription_count())

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        if self._read is None:
            return bool(self._publisher.get_subscription_count())
        return self._read

    def publish(self, message: Any) -> None:
        """Send one message."""
        self._publisher.publish(message)

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)

    def _on_matched(self, status: Any) -> None:
        self._read = status.current_count > 0
        self._on_change()


def _matched_option(callback: Callable[[Any], None]) -> dict[str, Any]:
    try:
        from rclpy.event_handler import PublisherEventCallbacks

        return {'event_callbacks': PublisherEventCallbacks(matched=callback)}
    except (ImportError, TypeError):
        return {}


def _unsupported_events() -> tuple[type[Exception], ...]:
    try:
        from rclpy.event_handler import UnsupportedEventTypeError
    except ImportError:
        return ()
    return (UnsupportedEventTypeError,)


@dataclass(frozen=True)
class CameraSite:
    """One camera's place on the node.

    `prefix` stands before its topics (`~`, or `~/<camera>`), `place` before those that nav2 reads.
    `on_change` is called when readers come or go. `info` takes a line for the log.
    """

    node: Any
    prefix: str
    place: str
    classes: ClassSet
    parameters: ParameterSet
    tables: CameraTables
    on_change: Callable[[], None]
    info: Callable[[str], None]
    publishers: list[OutputPublisher] = field(default_factory=list)

    def settings(self, kind: type[T]) -> T:
        """The parameters of `kind` in force."""
        return self.parameters.of(kind)

    def publisher(self, kind: Any, topic: str, qos: QoSProfile = OUTPUT_QOS) -> OutputPublisher:
        """A publisher of `<prefix>/topic`. Raises `ConfigError`."""
        return self._publisher(kind, f'{self.prefix}/{topic}', qos)

    def placed_publisher(
        self, kind: Any, topic: str, qos: QoSProfile = OUTPUT_QOS
    ) -> OutputPublisher:
        """A publisher of `<place>/topic`, for what nav2 reads. Raises `ConfigError`."""
        return self._publisher(kind, f'{self.place}/{topic}', qos)

    def close(self) -> None:
        """Destroy every publisher."""
        for publisher in self.publishers:
            publisher.close()
        self.publishers.clear()

    def _publisher(self, kind: Any, topic: str, qos: QoSProfile) -> OutputPublisher:
        created = OutputPublisher(self.node, kind, topic, qos, self.on_change)
        self.publishers.append(created)
        return created
