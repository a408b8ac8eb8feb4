"""The commands of the tutorials, from the pages themselves.

A block marked `sh` is for every machine that has the repository; one marked `console` needs a
ROS distribution, RTAB-Map or a CARLA server.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted((REPOSITORY / 'docs' / 'tutorials').glob('*.md'))
PYTHON = '.venv/bin/python'
_BLOCK = re.compile(r'^```(sh|console)\n(.*?)^```', re.MULTILINE | re.DOTALL)


def commands(page: Path, *kinds: str) -> list[list[str]]:
    """The words of every command of a page in blocks of these kinds; none named: of all."""
    blocks = _BLOCK.findall(page.read_text(encoding='utf-8'))
    return [
        shlex.split(line)
        for kind, block in blocks
        for line in block.splitlines()
        if not kinds or kind in kinds
    ]


def demo_commands(name: str) -> list[list[str]]:
    """The commands of a page that start the whole chain in the embedded world.

    `test/demo/test_demo.py` runs them, and looks at more than their end.
    """
    page = next(page for page in PAGES if page.stem == name)
    return [w for w in commands(page, 'sh') if 'demo' in w and '--input' not in w]
