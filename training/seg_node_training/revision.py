"""Which revision of the sources wrote a file or a page."""

from __future__ import annotations

import subprocess
from pathlib import Path


def source_revision() -> str:
    """Commit of the repository, `-dirty` where tracked files differ from it, '' outside git."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ['git', *words], cwd=here, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    commit = git('rev-parse', '--short=12', 'HEAD')
    return commit + ('-dirty' if commit and git('status', '--porcelain', '-uno', '.') else '')
