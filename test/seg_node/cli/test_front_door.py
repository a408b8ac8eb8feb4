"""The front door: verbs, help, usage errors; and what imports what."""

from __future__ import annotations

import importlib

import pytest

from seg_node.cli import VERBS, main


@pytest.mark.parametrize('verb', sorted(VERBS))
def test_every_verb_has_help_that_says_what_it_does(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, '--help'])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert f'python -m seg_node {verb}' in told
    first = (importlib.import_module(VERBS[verb][0]).__doc__ or '').split('\n')[0]
    assert len(first) > 10
    assert first in told


@pytest.mark.parametrize(('arguments', 'code'), [(['--help'], 0), ([], 2), (['fly'], 2)])
def test_the_verbs_are_listed(arguments, code, capsys):
    assert main(arguments) == code
    told = capsys.readouterr()
    text = told.out if code == 0 else told.err
    assert all(f'  {verb} ' in text for verb in VERBS)
    if arguments == ['fly']:
        assert text.startswith("error: verb 'fly': expected one of segment")


@pytest.mark.parametrize(
    'arguments',
    [
        ['segment'],
        ['segment', 'x.png'],
        ['segment', 'x.png', '-o', 'd', '--backend', 'tpu'],
        ['segment', 'x.png', '-o', 'd', '--threads', 'many'],
        ['play'],
        ['bench', '--precision', 'int3'],
    ],
)
def test_bad_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert 'usage: python -m seg_node' in capsys.readouterr().err
