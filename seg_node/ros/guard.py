"""One guard around what the executor calls: nothing that comes from outside ends a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seg_node.errors import cause_line

Report = Callable[[str, str], None]
"""Takes a cause (a short, countable word) and one line."""


def guarded(report: Report, what: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    """`callback`, whose exceptions become one line that begins with `what`."""

    def call(*arguments: Any) -> Any:
        try:
            return callback(*arguments)
        except Exception as error:
            report(getattr(error, 'cause', 'internal'), f'{what}: {cause_line(error)}')
            return None

    return call


def guarded_service(
    report: Report, what: str, callback: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """A `std_srvs/Trigger` handler whose exceptions become an answer with success False."""

    def call(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:
            response.success, response.message = False, cause_line(error)
            report(getattr(error, 'cause', 'internal'), f'{what}: {cause_line(error)}')
            return response

    return call
