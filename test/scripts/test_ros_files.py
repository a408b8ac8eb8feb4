"""Files that ROS people expect, as the tools that read them see them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = {'humble', 'jazzy', 'kilted'}


def test_the_changelog_is_what_bloom_reads(tmp_path: Path) -> None:
    """As catkin_prepare_release does it: the forthcoming part becomes a version's."""
    release = pytest.importorskip('catkin_pkg.cli.prepare_release')
    changelog = pytest.importorskip('catkin_pkg.changelog')
    text = (REPOSITORY / 'CHANGELOG.rst').read_text(encoding='utf-8')
    label = release.get_forthcoming_label(text)
    assert label == 'Forthcoming'
    heading = '0.2.0 (2026-12-01)'
    released = text.replace(f'{label}\n{"-" * 11}', f'{heading}\n{"-" * len(heading)}')
    (tmp_path / 'CHANGELOG.rst').write_text(released)
    read = changelog.get_changelog_from_path(str(tmp_path / 'CHANGELOG.rst'), 'seg_node')
    (entries,) = read.get_content_of_version('0.2.0')
    assert len(entries.bullets) > 3


def test_both_changelogs_say_the_same() -> None:
    def words(name: str) -> list[str]:
        text = (REPOSITORY / name).read_text(encoding='utf-8').partition('orthcoming')[2]
        return re.findall(r'[\w~]+', text)

    assert words('CHANGELOG.md') == words('CHANGELOG.rst')


def test_the_workflow_has_the_matrix() -> None:
    path = REPOSITORY / '.github' / 'workflows' / 'ci.yml'
    jobs = yaml.safe_load(path.read_text(encoding='utf-8'))['jobs']
    assert set(jobs['ros']['strategy']['matrix']['distro']) == DISTRIBUTIONS
    tried = {
        (i['distro'], i['python']) for i in jobs['distribution']['strategy']['matrix']['include']
    }
    assert tried == {('humble', '3.10'), ('jazzy', '3.12')}
    for distro, _ in tried:
        assert (REPOSITORY / 'scripts' / 'ros' / f'apt-{distro}.txt').is_file()
    assert set(jobs['test']['strategy']['matrix']['python']) == {'3.10', '3.11', '3.12'}


def test_each_devcontainer_builds_the_dockerfile() -> None:
    files = sorted((REPOSITORY / '.devcontainer').glob('*/devcontainer.json'))
    assert {path.parent.name for path in files} == DISTRIBUTIONS
    for path in files:
        build = json.loads(path.read_text(encoding='utf-8'))['build']
        assert build['args'] == {'ROS_DISTRO': path.parent.name}
        assert (path.parent / build['dockerfile']).resolve() == REPOSITORY / 'Dockerfile'


def test_the_dockerfile_copies_what_is_there() -> None:
    text = (REPOSITORY / 'Dockerfile').read_text(encoding='utf-8')
    for source in re.findall(r'^COPY (\S+) ', text, flags=re.M):
        assert (REPOSITORY / source).exists(), source
    assert 'make -C src/seg_node ros-setup' in text
