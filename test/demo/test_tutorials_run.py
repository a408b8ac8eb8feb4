"""Every command of the tutorials that this machine can run, run as it stands on the page.

The demo in the embedded world is run by `test_demo.py`, from the page too.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tutorial_pages import PAGES, PYTHON, REPOSITORY, commands, demo_commands

DOMAIN = '59'
RESULTS = {'-o', '--json', '--report', '--out', '--bag', '--lanes'}
RUN = [page for page in PAGES if page.stem != 'my-own-model']
"""It trains: more than a minute of processor, for verbs that `test/training` runs."""


def run(words: list[str], folder: Path) -> None:
    """Run a command in `folder` as in the repository's root; it must end well, with its files."""
    if words[0] == 'make':  # setting up is what the tests themselves stand on
        words = ['make', '-n', '-C', str(REPOSITORY), *words[1:]]
    else:
        assert words[0] == PYTHON
        # The repository's own files; what begins with out/ is the page's.
        rest = [str(REPOSITORY / w) if (REPOSITORY / w).is_file() else w for w in words[1:]]
        words = [sys.executable, *rest]
    environment = os.environ | {
        'ROS_DOMAIN_ID': DOMAIN,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'AMENT_PREFIX_PATH': sys.prefix,
    }
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    # The probe's status says whether the machine kept up, which is the machine's matter.
    well = (0, 1) if 'seg_node.ros.rgbd_probe' in words else (0,)
    assert done.returncode in well, f'{words}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}'
    for option, value in itertools.pairwise(words):
        if option in RESULTS:
            path = folder / value
            assert path.is_file() or any(path.iterdir()), f'{words}: nothing in {value}'


# Ten minutes a page for a person; here the machine may have other work.
@pytest.mark.timeout(900)
@pytest.mark.parametrize('page', RUN, ids=lambda page: page.stem)
def test_the_commands_of_a_page_in_their_order(page, tmp_path):
    if importlib.util.find_spec('carla') is None:
        pytest.skip('carla is not installed')
    elsewhere = demo_commands(page.stem)
    page_commands = [words for words in commands(page, 'sh') if words not in elsewhere]
    assert len(page_commands) >= 2
    for words in page_commands:
        run(words, tmp_path)
