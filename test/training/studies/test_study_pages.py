"""Pages of the quantization studies: the table and the index."""

from __future__ import annotations

from seg_node_training.report.study import into_index, markdown_table, write_study


def test_the_index_keeps_one_row_a_study(tmp_path):
    index = tmp_path / 'studies.md'
    index.write_text(
        '# Studies\n\n| study | question |\n|---|---|\n| [a](studies/a.md) | x |\n\nend\n'
    )
    into_index(index, 'b', 'Bees', 'many')
    into_index(index, 'b', 'Bees', 'few')
    lines = index.read_text().splitlines()
    assert lines[4:] == ['| [a](studies/a.md) | x |', '| [Bees](studies/b.md) | few |', '', 'end']


def test_a_page_begins_with_its_answer(tmp_path):
    rows = markdown_table(['a', 'b'], [[1, 0.5], [None, 'x']])
    assert rows == ['| a | b |', '|---|---|', '| 1 | 0.500 |', '| – | x |']
    path = write_study('q', 'A question', 'An answer.', rows, tmp_path)
    assert path.read_text().startswith('# A question\n\nAn answer.\n\n| a | b |')
    assert 'python -m seg_node_training.studies.q' in path.read_text()
