"""Names of topics and nodes in their namespace, given by argument or pushed by an outer file."""

from __future__ import annotations

from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from launch import LaunchContext
from seg_node.launching.arguments import text


def namespace(context: LaunchContext) -> str:
    """The namespace of our nodes, absolute; `/` for none.

    `PushRosNamespace` of an including file comes first, then the argument, as `launch_ros` does
    it for a node: an absolute argument stands alone. An outer file that pushes its argument
    `namespace` hands it on by that name as well; the same twice counts once.
    """
    pushed = context.launch_configurations.get('ros_namespace')
    own = text(context, 'namespace') or None
    if pushed and own and f'/{pushed}'.endswith(f'/{own.strip("/")}'):
        own = None
    joined = prefix_namespace(pushed, own)
    return str(make_namespace_absolute(joined) or '/')


def topic(context: LaunchContext, argument: str) -> str:
    """The topic that an argument names, absolute: in the namespace where it is relative."""
    return absolute(context, text(context, argument))


def absolute(context: LaunchContext, name: str) -> str:
    """`name` as a node of ours would resolve it."""
    return name if name.startswith('/') else f'{namespace(context).rstrip("/")}/{name}'
