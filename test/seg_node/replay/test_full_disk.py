"""A disk that takes no more: one line that names the file, and what stood there stays whole."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

import numpy as np
import pytest

from seg_node.cli import main
from seg_node.errors import InputError
from seg_node.replay.journal import FrameJournal


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may get larger, which every write then reports."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ('option', 'name', 'size'),
    [
        ('--json', 'figures.json', 4000),
        ('--mcap', 'annotated.mcap', 4000),
        ('--video', 'overlay.mp4', 2000),
        ('--report', 'report/report.html', 20_000),  # its report.json would still fit
    ],
)
def test_one_line_and_no_half_files(drive, contract_model, tmp_path, capfd, option, name, size):
    bag, target = drive(frames=3), tmp_path / name
    folder = target.parent if option == '--report' else target
    arguments = ['replay', bag, '--ground-truth', '/camera/labels', '--model', contract_model]
    command = [*map(str, arguments), '--no-cache', option, str(folder)]
    assert main(command) == 0
    before = target.read_bytes()
    capfd.readouterr()
    with files_of_at_most(size):
        assert main(command) == 1
    assert target.read_bytes() == before
    hidden = {p.name for p in target.parent.iterdir() if p.name.startswith('.')}
    assert hidden <= {'.replay'}  # the records of the run, from which --resume goes on
    said = capfd.readouterr()
    (line,) = said.err.strip().splitlines()
    assert line == f'error: {target}: cannot be written: File too large'
    assert 'mIoU' in said.out  # the figures are told all the same


def test_records_that_cannot_be_kept(tmp_path):
    dtype = np.dtype([('x', 'u1', (1000,))])
    journal = FrameJournal(tmp_path / 'a.records', dtype, keep=False)
    with (
        files_of_at_most(20_000),
        pytest.raises(InputError, match=r'a\.records: cannot be written'),
    ):
        for _ in range(100):
            journal.append(np.zeros((), dtype))
    journal.close()


def test_both_files_of_a_report_or_neither(drive, contract_model, tmp_path):
    folder = tmp_path / 'report'
    command = ['replay', str(drive(frames=3)), '--model', str(contract_model), '--no-cache']
    with files_of_at_most(20_000):
        assert main([*command, '--report', str(folder)]) == 1
    assert not list(folder.glob('report.*'))
