"""MkDocs hooks: what of the repository is on the site, and where links to it lead.

Pages are docs/, README.md and every Markdown file that one of them links to; other files that are
linked are copied. The API reference has a page for each module or folder of the three packages.
Links stay as they are in the repository, relative to the file, so that they work there as well.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = {'seg_node': '.', 'seg_node_sim': 'sim', 'seg_node_training': 'training'}
_LINK = re.compile(r'(\]\()([^)#\s]*)(#[^)\s]*)?(\))')


def place(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path.startswith('docs/'):
        return path.removeprefix('docs/')
    if path == 'README.md':
        return 'index.md'
    return f'repository/{path}' if path.endswith('.md') else f'files/{path}'


def on_files(files: Files, config: Any) -> Files:
    """Add what lies outside docs/: by links from page to page, and the API reference."""
    site = _Site(files, config)
    pages = [f'docs/{file.src_uri}' for file in files if file.src_uri.endswith('.md')]
    site.add('README.md')
    waiting, seen = [*pages, 'README.md'], set()
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in _targets(page):
            site.add(target)
            if target.endswith('.md'):
                waiting.append(target)
    _reference(site)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as the site has them."""
    source = _SOURCES.get(page.file.src_uri)
    if source is None and (REPOSITORY / 'docs' / page.file.src_uri).is_file():
        source = f'docs/{page.file.src_uri}'
    if source is None:
        return markdown  # made here, with the site's links
    here = posixpath.dirname(page.file.src_uri)

    def led(match: re.Match[str]) -> str:
        target = _target(source, match[2])
        if target is None:
            return match[0]
        link = posixpath.relpath(place(target), here or '.')
        return f'{match[1]}{link}{match[3] or ""}{match[4]}'

    return _LINK.sub(led, markdown)


_SOURCES: dict[str, str] = {}
"""Files of the repository by their place on the site, where that is not docs/."""


class _Site:
    """The files of the site, to which one can add."""

    def __init__(self, files: Files, config: Any) -> None:
        self._files, self._config = files, config
        _SOURCES.clear()

    def add(self, path: str) -> None:
        """A file of the repository, once."""
        where = place(path)
        if self._files.get_file_from_path(where) is not None:
            return
        _SOURCES[where] = path
        self._files.append(
            File.generated(self._config, where, abs_src_path=str(REPOSITORY / path))
        )

    def write(self, where: str, text: str) -> None:
        """A page that is made here."""
        self._files.append(File.generated(self._config, where, content=text))


def _targets(page: str) -> list[str]:
    text = (REPOSITORY / page).read_text(encoding='utf-8')
    targets = (_target(page, match[2]) for match in _LINK.finditer(text))
    return [target for target in targets if target is not None]


def _target(page: str, link: str) -> str | None:
    """The repository's file that a link of a page leads to; None for other links.

    Raises `PluginError` where there is none: the site would be broken.
    """
    if not link or ':' in link:
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    path = REPOSITORY / target
    if path.is_dir() and (path / 'README.md').is_file():
        return f'{target}/README.md'
    if path.is_dir():
        return None
    if not path.is_file():
        raise PluginError(f'{page}: {link}: no such file')
    return target


def _reference(site: _Site) -> None:
    lines = ['# API reference', '', 'From the docstrings.', '']
    for package, root in PACKAGES.items():
        folder = REPOSITORY / root / package
        lines += [f'## {package}', '', f'* [{package}](reference/{package}.md)']
        site.write(f'reference/{package}.md', _page(package, submodules=False))
        for path in sorted(folder.iterdir()):
            name = path.stem
            if not (path.suffix == '.py' or (path / '__init__.py').is_file()) or name[0] == '_':
                continue
            unit = f'{package}.{name}'
            lines.append(f'* [{unit}](reference/{unit}.md)')
            site.write(f'reference/{unit}.md', _page(unit, submodules=True))
        lines.append('')
    site.write('reference.md', os.linesep.join(lines))


def _page(unit: str, *, submodules: bool) -> str:
    options = f'    options:\n      show_submodules: {str(submodules).lower()}\n'
    return f'# {unit}\n\n::: {unit}\n{options}'
