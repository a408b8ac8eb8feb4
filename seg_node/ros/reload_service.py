"""`~/reload_model`, answered beside the node's own executor.

Loading takes longer than the frames in a reader's queue last, and rclpy's executors do nothing
else while a callback runs or awaits. So the service has a node and a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from seg_node.ros.guard import Report, guarded_service

Reload = Callable[[Trigger.Request, Trigger.Response], Trigger.Response]


class ReloadService:
    """Serves `<node>/reload_model` by `reload`, one call at a time."""

    def __init__(self, node: Any, reload: Reload, report: Report) -> None:
        self._node = rclpy.create_node(
            f'{node.get_name()}_reload',
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            start_parameter_services=False,
        )
        name = f'{node.get_fully_qualified_name()}/reload_model'
        self._node.create_service(Trigger, name, guarded_service(report, 'reload_model', reload))
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name='seg_node reload', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._executor.shutdown(timeout_sec=1.0)
        self._thread.join(1.0)
        self._node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception:
            if self._node.context.ok():
                raise  # else the process ends, and closed the context under our hands
