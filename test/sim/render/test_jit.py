"""Where compiled code is kept: its files are pickles, so nobody else may have put them there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seg_node_sim.render.jit import cache_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    return tmp_path / 'cache' / 'seg_node' / 'numba'


def test_the_cache_is_the_users_alone(home: Path) -> None:
    folder = cache_folder()
    assert folder.parent == home
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder() == folder  # and is found again


def test_a_folder_that_others_can_write_is_not_used(home: Path) -> None:
    folder = cache_folder()
    folder.chmod(0o777)
    (folder / 'planted.nbi').write_bytes(b'a pickle')
    other = cache_folder()
    assert home not in other.parents
    assert other.stat().st_mode & 0o777 == 0o700 and not list(other.iterdir())


def test_a_link_is_not_followed(home: Path, tmp_path: Path) -> None:
    folder = cache_folder()
    folder.rmdir()
    (tmp_path / 'theirs').mkdir()
    folder.symlink_to(tmp_path / 'theirs')
    assert home not in cache_folder().parents


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a folder away')
@pytest.mark.parametrize('whose', ['leaf', 'root'])
def test_a_folder_of_somebody_else_is_not_used(home: Path, whose: str) -> None:
    folder = cache_folder()
    os.chown(folder if whose == 'leaf' else home, 12345, 12345)
    assert home not in cache_folder().parents


def test_without_a_cache_it_still_works(tmp_path: Path) -> None:
    (tmp_path / 'cache').write_text('not a folder')
    assert cache_folder().is_dir()
