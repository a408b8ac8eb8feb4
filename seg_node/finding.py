"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal['ok', 'note', 'warning', 'error']


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, what came, and what to do about it."""

    level: Level
    what: str
    message: str
    advice: str = ''
