"""Why a camera's frames do not come, in one line."""

from __future__ import annotations

from typing import Any

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
ADVICE = 'check the name, the namespace, ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE'


def topics_of(node: Any, *kinds: str) -> list[str]:
    """Names of the topics that somebody else than `node` publishes with one of these types."""
    own = node.get_name(), node.get_namespace()
    return sorted(
        name
        for name, types in node.get_topic_names_and_types()
        if set(types) & set(kinds)
        and any(
            (publisher.node_name, publisher.node_namespace) != own
            for publisher in node.get_publishers_info_by_topic(name)
        )
    )


def why_nothing_comes(node: Any, subscription: Any) -> str:
    """What keeps messages of a subscription away, seen from the graph around `node`."""
    topic = subscription.topic_name
    kind = _type_name(subscription.msg_type)
    publishers = node.get_publishers_info_by_topic(topic)
    fitting = [p for p in publishers if p.topic_type == kind]
    if not publishers:
        return f'{topic}: nobody publishes it; {_offers(node, topic, kind)}'
    if not fitting:
        carried = ', '.join(sorted({p.topic_type for p in publishers}))
        hint = (
            '; set image_transport to compressed'
            if COMPRESSED in carried and kind == IMAGE
            else ''
        )
        if IMAGE in carried and kind == COMPRESSED:
            hint = '; set image_transport to raw'
        return f'{topic}: expected {kind}, it carries {carried}{hint}'
    requested = subscription.qos_profile
    problems = [
        p for publisher in fitting if (p := _qos_problem(publisher.qos_profile, requested))
    ]
    if len(problems) == len(fitting):
        return f'{topic}: {problems[0]}'
    return (
        f'{topic}: {len(fitting)} publisher(s), but nothing has come: is the camera running, and '
        'is the Fast DDS profile set on both ends (docs/transport.md)?'
    )


def _offers(node: Any, topic: str, kind: str) -> str:
    others = [name for name in topics_of(node, kind) if name != topic]
    line = f'of {kind} there is {", ".join(others)}' if others else f'there is no {kind} at all'
    coded = topics_of(node, COMPRESSED if kind == IMAGE else IMAGE)
    if coded and kind in (IMAGE, COMPRESSED) and not others:
        transport = 'compressed' if kind == IMAGE else 'raw'
        line += f', but {", ".join(coded)}: image_transport {transport} takes that'
    return line if others or coded else f'{line}: {ADVICE}'


def _qos_problem(offered: Any, requested: Any) -> str:
    reliable = ReliabilityPolicy.RELIABLE
    if requested.reliability == reliable and offered.reliability == ReliabilityPolicy.BEST_EFFORT:
        return 'its publisher is best effort, this node asks for reliable: see qos_overrides'
    latched = DurabilityPolicy.TRANSIENT_LOCAL
    if requested.durability == latched and offered.durability == DurabilityPolicy.VOLATILE:
        return 'its publisher is volatile, this node asks for transient local: see qos_overrides'
    return ''


def _type_name(kind: Any) -> str:
    package, _, _ = kind.__module__.partition('.')
    return f'{package}/msg/{kind.__name__}'
