"""Pages that name files name files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATH = re.compile(r'`((?:seg_node|sim|training|test|config|launch|scripts)/[\w./-]+)`')
LINK = re.compile(r'\]\((?!https?:|#)([^)#\s]+)')


@pytest.mark.parametrize('page', ['docs/architecture.md', 'CONTRIBUTING.md'])
def test_every_path_on_the_page_exists(page):
    text = (REPOSITORY / page).read_text(encoding='utf-8')
    paths = PATH.findall(text)
    assert len(paths) >= 4
    assert not [path for path in paths if not (REPOSITORY / path).exists()]


@pytest.mark.parametrize('page', sorted(REPOSITORY.glob('docs/*.md')), ids=lambda p: p.name)
def test_every_link_leads_to_a_file(page):
    links = LINK.findall(page.read_text(encoding='utf-8'))
    assert not [link for link in links if not (page.parent / link).exists()]
