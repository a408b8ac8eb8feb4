"""Parameters are declared once: files and tables made of them, loading, changing, misspelling."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from rclpy.parameter import parameter_dict_from_yaml_file
from rclpy.parameter_client import AsyncParameterClient

from seg_node.errors import ConfigError
from seg_node.ros import parameter_docs
from seg_node.ros.declared import declared, parameter, replaced, settings

DOMAIN = 55
REPOSITORY = Path(__file__).resolve().parents[2]
NODE = 'seg_node.ros.node'


@dataclasses.dataclass(frozen=True)
class Example:
    gain: float = parameter(1.0, 'Gain.', bounds=(0.0, 2.0), live=True)
    kind: str = parameter('a', 'Kind.', name='group.kind', choices=('a', 'b'))
    numbers: tuple[int, ...] = parameter((), 'Numbers.')
    words: tuple[str, ...] = parameter((), 'Words.')


def test_one_declaration_gives_names_defaults_and_the_settings():
    items = declared(Example)
    assert [(i.name, i.default) for i in items] == [
        ('gain', 1.0), ('group.kind', 'a'), ('numbers', []), ('words', ['']),
    ]  # fmt: skip
    values = {'gain': 2.0, 'group.kind': 'b', 'numbers': [1, 2], 'words': ['', 'x']}
    made = settings(Example, values)
    assert made == Example(2.0, 'b', (1, 2), ('x',))
    assert replaced(made, {'gain': 0.5, 'elsewhere': 1}).gain == 0.5
    with pytest.raises(ConfigError, match=r"2 problems: .*group\.kind.*'c'.*numbers"):
        settings(Example, values | {'group.kind': 'c', 'numbers': [0.5]})


def test_off_is_off_also_where_yaml_makes_it_false():
    @dataclasses.dataclass(frozen=True)
    class Switch:
        mode: str = parameter('off', 'Mode.', choices=('off', 'lanes'))

    assert settings(Switch, {'mode': False}) == Switch('off')
    with pytest.raises(ConfigError, match='expected one of off, lanes, got True'):
        settings(Switch, {'mode': True})


def test_the_parameter_file_and_the_tables_are_what_the_nodes_declare():
    stale = [
        str(page)
        for page, text in parameter_docs.pages(REPOSITORY).items()
        if page.read_text(encoding='utf-8') != text
    ]
    assert not stale, 'run python -m seg_node.ros.parameter_docs'
    texts = ' '.join(p.read_text(encoding='utf-8') for p in (REPOSITORY / 'docs').glob('*.md'))
    for name in parameter_docs.tables():
        assert f'<!-- parameters {name} -->' in texts


def test_a_page_that_is_not_as_declared_is_named_and_renewed(tmp_path, capsys):
    (tmp_path / 'docs').mkdir()
    page = tmp_path / 'docs' / 'node.md'
    page.write_text('a\n<!-- parameters seg_node -->\nold\n<!-- end of parameters -->\nb\n')
    assert parameter_docs.main(['--root', str(tmp_path), '--check']) == 1
    assert 'old' in page.read_text()
    assert parameter_docs.main(['--root', str(tmp_path)]) == 0
    assert '| `overlay_alpha` | `0.5` | live |' in page.read_text()
    assert parameter_docs.main(['--root', str(tmp_path), '--check']) == 0
    page.write_text('<!-- parameters nonsense -->\n<!-- end of parameters -->\n')
    assert parameter_docs.main(['--root', str(tmp_path)]) == 1
    assert 'nonsense: expected one of seg_node' in capsys.readouterr().out


def test_the_shipped_file_loads_into_the_running_node(tester, seg_node, contract_model):
    """As `ros2 param load /seg_node config/seg_node.yaml` does it."""
    seg_node(model='', autostart=False)
    path = str(REPOSITORY / 'config' / 'seg_node.yaml')
    assert 'overlay_alpha' in parameter_dict_from_yaml_file(path, True, ['/seg_node'])
    client = AsyncParameterClient(tester.node, '/seg_node')
    assert client.wait_for_services(30)
    answer = client.load_parameter_file(path, use_wildcard=True)
    tester.wait(answer.done, 'the answer of set_parameters')
    results = answer.result().results
    assert len(results) > 20
    assert [r.reason for r in results if not r.successful] == []


def test_an_unchanged_value_is_taken_by_a_configured_node(tester, seg_node, contract_model):
    seg_node(model=str(contract_model))
    assert tester.set('threads', 0).successful
    assert tester.set('model', str(contract_model)).successful
    assert 'clean up first' in tester.set('threads', 1).reason


def test_a_misspelt_key_is_one_line_with_the_nearest_name(processes, tmp_path, contract_model):
    path = tmp_path / 'params.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    overlay_alhpa: 0.3\n    zebra: 1\n    voxel_size_m: 0.1\n'
        f'    model: {contract_model}\n    qos_overrides./image.subscription.depth: 3\n'
    )
    node = processes(NODE, ['--ros-args', '--params-file', str(path)])
    node.wait_line('active: waiting for frames')
    said = [line for line in node.lines if 'no such parameter' in line]
    assert len(said) == 2, node.output
    assert 'overlay_alhpa: no such parameter, did you mean overlay_alpha?' in said[0]
    assert 'zebra: no such parameter, see config/seg_node.yaml' in said[1]
    assert node.interrupt() == 0
