"""Message types of a bag: each is built when the first message of its channel is deserialized.

One definition that cannot be parsed must not take the others with it: rosbag2 writes the raw text
of a service where its events are recorded, or no definition at all where it finds no file. Nor
does one that takes fields from a type of ROS: what reads messages counts on them.
"""

from __future__ import annotations

import functools
from typing import Any

from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from seg_node.bags.channel import READABLE, Channel
from seg_node.errors import InputError, first_line

_SEPARATOR = '=' * 80 + '\n'


@functools.cache
def standard_types(ros1: bool = False) -> Any:
    """The rosbags typestore of ROS 2 Jazzy, or of ROS 1 Noetic: for writing, and where a bag has
    no definition of a standard type.
    """
    return get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)


def deserialized(channel: Channel, raw: bytes) -> Any:
    """A message by its channel's definition, as an object with the fields of the type.

    Raises `InputError` or what rosbags raises.
    """
    if channel.encoding not in READABLE:
        raise InputError(f'encoding {channel.encoding!r}: expected {" or ".join(READABLE)}')
    store = _store(channel)
    if channel.encoding == 'ros1':
        return store.deserialize_ros1(raw, channel.type)
    return store.deserialize_cdr(raw, channel.type)


@functools.lru_cache(maxsize=64)
def _store(channel: Channel) -> Any:
    """A typestore with the channel's type, by its own definition where that is a good one.

    Kept from bag to bag: making one compiles code, 60 ms for an Image.
    """
    problem = 'the bag has none'
    if channel.text:
        try:
            return _store_of(_parsed(channel), channel)
        except Exception as error:  # parser errors of rosbags share no base class
            problem = first_line(error)
    standard = standard_types(channel.encoding == 'ros1')
    if channel.type not in standard.fielddefs:
        raise InputError(f'expected a definition of {channel.type}: {problem}')
    return standard


def _store_of(parsed: dict[str, Any], channel: Channel) -> Any:
    standard = standard_types(channel.encoding == 'ros1')
    for name in parsed.keys() & standard.fielddefs.keys():
        definitions = dict(parsed[name][1])
        for field, kind in standard.fielddefs[name][1]:
            if definitions.get(field) != kind:
                raise ValueError(f'{name} has another {field} than in ROS, or none')
    store = get_typestore(Stores.EMPTY)
    store.register(parsed)
    try:
        store.generate_msgdef(channel.type, ros_version=2)
    except Exception:  # what the definition leaves out is the standard's
        store = get_typestore(Stores.EMPTY)
        store.register({**standard.fielddefs, **parsed})
        store.generate_msgdef(channel.type, ros_version=2)
    return store


def _parsed(channel: Channel) -> dict[str, Any]:
    if channel.schema in ('ros2idl', 'omgidl'):
        parts = channel.text.split(_SEPARATOR) if _SEPARATOR in channel.text else [channel.text]
        types: dict[str, Any] = {}
        for part in filter(str.strip, parts):
            text = part.split('\n', 1)[1] if part.startswith('IDL: ') else part
            types |= get_types_from_idl(text)
        return types
    return dict(get_types_from_msg(channel.text, channel.type))
