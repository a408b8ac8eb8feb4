"""Publishers and subscriptions whose QoS the user may set by `qos_overrides` parameters.

rclpy writes the overrides into the profile that it is given, so each gets a copy of its own; and
what it raises for impossible values becomes one kind of error that names the topic.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import InvalidQoSProfileException, QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions

from seg_node.errors import ConfigError, first_line
from seg_node.ros.guard import Report, guarded


def create_publisher(node: Any, kind: Any, topic: str, qos: QoSProfile, **options: Any) -> Any:
    """A publisher, a lifecycle one on a lifecycle node. Raises `ConfigError`.

    `options` go to rclpy, for example `event_callbacks`.
    """
    lifecycle = isinstance(node, LifecycleNode)
    create = node.create_lifecycle_publisher if lifecycle else node.create_publisher
    with _named(node, topic):
        return create(kind, topic, copy.copy(qos), qos_overriding_options=_options(), **options)


def create_subscription(
    node: Any,
    kind: Any,
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile,
    report: Report | None = None,
) -> Any:
    """A subscription. Raises `ConfigError`.

    `report(cause, line)` gets what the callback raises; without it the node's log does.
    """
    warn = report or (lambda _, line: node.get_logger().warning(line, throttle_duration_sec=2.0))
    with _named(node, topic):
        return node.create_subscription(
            kind,
            topic,
            guarded(warn, topic, callback),
            copy.copy(qos),
            qos_overriding_options=_options(),
        )


def _options() -> QoSOverridingOptions:
    kinds = (
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
    return QoSOverridingOptions(kinds)


@contextlib.contextmanager
def _named(node: Any, topic: str) -> Iterator[None]:
    try:
        yield
    except (
        ParameterException,
        InvalidQosOverridesError,
        InvalidQoSProfileException,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        reason = first_line(error)
        raise ConfigError(f'qos_overrides.{node.resolve_topic_name(topic)}: {reason}') from None
