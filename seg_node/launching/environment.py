"""The environment of what is started: transport and allocator for camera frames."""

from __future__ import annotations

from launch.action import Action
from launch.actions import SetEnvironmentVariable

from launch import LaunchContext
from seg_node.transport import profile_path
from seg_node.tuning import ALLOCATOR


def transport_environment(context: LaunchContext) -> list[Action]:
    """The Fast DDS profile and the allocator setting, for everything started afterwards.

    What the user has set stays. Both ends of a topic need them; see docs/transport.md.
    """
    settings = dict(ALLOCATOR)
    if 'FASTRTPS_DEFAULT_PROFILES_FILE' not in context.environment:  # the name until Iron
        settings['FASTDDS_DEFAULT_PROFILES_FILE'] = str(profile_path())
    return [
        SetEnvironmentVariable(name, value)
        for name, value in settings.items()
        if context.environment.get(name, value) == value
    ]
