"""The tutorials' commands are ones that there are: verbs with their options, targets, files.

Those that need nothing beside the repository are also run, in `test/demo/test_tutorials_run.py`.
"""

from __future__ import annotations

import argparse
import importlib
import re

import pytest
from tutorial_pages import PAGES, PYTHON, REPOSITORY, commands

from seg_node.cli import VERBS

VERB = [PYTHON, '-m', 'seg_node']


def check(words: list[str]) -> None:
    """Fail unless the command can be started as it stands."""
    if words[:3] == VERB:
        module = importlib.import_module(VERBS[words[3]][0])
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        parser.parse_args(words[4:])
    elif words[0] == 'make':
        makefile = (REPOSITORY / 'Makefile').read_text(encoding='utf-8')
        assert re.search(rf'^{words[1]}:', makefile, re.MULTILINE), words
    elif words[:3] == ['ros2', 'launch', 'seg_node']:
        text = (REPOSITORY / 'launch' / words[3]).read_text(encoding='utf-8')
        text += (REPOSITORY / 'seg_node' / 'launching' / 'arguments.py').read_text('utf-8')
        for name in (word.partition(':=')[0] for word in words[4:]):
            assert f"'{name}'" in text, words
    elif words[0] == PYTHON:
        name = words[1] if words[1] != '-m' else words[2].replace('.', '/') + '.py'
        assert (REPOSITORY / name).is_file(), words
    else:
        assert words[:4] == ['ros2', 'run', 'seg_node', 'seg_node'], words


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_every_command_can_be_started(page):
    pytest.importorskip('msgpack')  # `sim` has its options from the simulator
    found = commands(page)
    assert len(found) >= 4
    for words in found:
        check(words)


def test_a_wrong_option_fails(capsys):
    with pytest.raises(SystemExit):
        check([*VERB, 'segment', 'a', '-o', 'b', '--no-such-option'])
    with pytest.raises(AssertionError):
        check(['make', 'no-such-target'])
