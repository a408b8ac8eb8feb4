"""Errors of the package: one public base, messages of one line.

Every message names the thing, what was expected and what came, so that it can be shown to a person
as it is. The command line prints it without a traceback; the node logs and counts it.
"""

from __future__ import annotations

from collections.abc import Sequence


class SegNodeError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(SegNodeError):
    """An image, bag, video or folder that cannot be used."""


class FrameError(InputError):
    """One camera frame that cannot be used; the stream goes on.

    `cause` is a short, countable word for diagnostics, e.g. `encoding` or `size`.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class ModelError(SegNodeError):
    """A model file that is missing, corrupt, or not described well enough to be run."""


class ConfigError(SegNodeError):
    """A parameter, option or configuration file with an impossible value."""


def problems_line(subject: str, problems: Sequence[str]) -> str:
    """All `problems` of `subject` in one line, so that nobody has to mend them one at a time."""
    if len(problems) == 1:
        return f'{subject}: {problems[0]}'
    listed = '; '.join(f'({i}) {problem}' for i, problem in enumerate(problems, 1))
    return f'{subject}: {len(problems)} problems: {listed}'
