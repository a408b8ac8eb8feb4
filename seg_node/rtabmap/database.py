"""An RTAB-Map database as a file of pictures (rtabmap `DatabaseSchema.sql.in`)."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_node.errors import InputError

OLDEST, NEWEST = (0, 18), (0, 23)
"""Schema versions whose tables were read: first and last, major and minor."""
_COLUMNS = {
    'Node': {'id', 'weight'},
    'Data': {'id', 'image', 'depth', 'calibration'},
    'Admin': {'version'},
}
_DERIVED = (
    'preview_image', 'opt_cloud', 'opt_polygons_size', 'opt_polygons', 'opt_tex_coords',
    'opt_tex_materials',
)  # fmt: skip
"""Columns of Admin that RTAB-Map made of the pictures as they were."""


@dataclass(frozen=True)
class NodePictures:
    """What one node of the map saw: encoded colours and depth, camera models."""

    node: int
    image: bytes
    depth: bytes | None
    calibration: bytes | None


class MapDatabase:
    """An open database. Errors of SQLite are `InputError`s of one line."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def __len__(self) -> int:
        """Number of nodes with a picture."""
        return int(self._one('SELECT count(*) FROM Data WHERE length(image) > 0'))

    def nodes(self) -> Iterator[NodePictures]:
        """The nodes with a picture, one at a time, by id."""
        ids = self._rows('SELECT id FROM Data WHERE length(image) > 0 ORDER BY id')
        for (node,) in ids:
            rows = self._rows('SELECT image, depth, calibration FROM Data WHERE id = ?', node)
            yield NodePictures(int(node), *rows[0])

    def put(self, node: int, image: bytes | None, depth: bytes | None) -> None:
        """Replace a node's colours and depth; None leaves what is there."""
        for column, blob in (('image', image), ('depth', depth)):
            if blob is not None:
                self._rows(f'UPDATE Data SET {column} = ? WHERE id = ?', blob, node)

    def forget_derived(self) -> None:
        """Clear the cloud, mesh and preview that RTAB-Map kept of the old pictures."""
        there = {row[1] for row in self._rows('PRAGMA table_info(Admin)')}
        for column in (name for name in _DERIVED if name in there):
            self._rows(f'UPDATE Admin SET {column} = NULL')

    def check(self) -> str:
        """The schema's version. Raises `InputError` where tables or version are not known."""
        for table, expected in _COLUMNS.items():
            lacking = expected - {row[1] for row in self._rows(f'PRAGMA table_info({table})')}
            if lacking:
                raise InputError(
                    f'{self.path}: expected an RTAB-Map database, its table {table} lacks '
                    f'{", ".join(sorted(lacking))}'
                )
        version = str(self._one('SELECT version FROM Admin LIMIT 1'))
        match = re.match(r'(\d+)\.(\d+)', version)
        if not match or not OLDEST <= (int(match[1]), int(match[2])) <= NEWEST:
            raise InputError(
                f'{self.path}: expected an RTAB-Map database of version '
                f'{".".join(map(str, OLDEST))} to {".".join(map(str, NEWEST))}, got {version}'
            )
        return version

    def _one(self, query: str) -> Any:
        rows = self._rows(query)
        return rows[0][0] if rows else None

    def _rows(self, query: str, *values: Any) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise InputError(f'{self.path}: {error}') from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f'{path.resolve().as_uri()}?mode={mode}', uri=True)


@contextlib.contextmanager
def open_map(path: Path) -> Iterator[MapDatabase]:
    """Read a database; nothing is written to it.

    Raises `InputError` for what is no database of a known version.
    """
    if not path.is_file():
        raise InputError(f'{path}: expected an RTAB-Map database, there is no such file')
    try:
        connection = _connect(path, 'ro')
    except sqlite3.Error as error:
        raise InputError(f'{path}: {error}') from None
    with contextlib.closing(connection):
        database = MapDatabase(path, connection)
        database.check()
        yield database


@contextlib.contextmanager
def copy_map(source: MapDatabase, path: Path) -> Iterator[MapDatabase]:
    """A copy of `source` at `path` to write to: all of it is stored when the block ends well."""
    try:
        with contextlib.closing(_connect(path, 'rw')) as connection:
            source._connection.backup(connection)
            connection.execute('PRAGMA journal_mode = DELETE')
            yield MapDatabase(path, connection)
            connection.commit()
            connection.execute('VACUUM')
    except sqlite3.Error as error:
        raise InputError(f'{path}: {error}') from None
