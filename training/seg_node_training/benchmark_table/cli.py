"""The benchmark table: models x precisions x runtimes x sizes, measured in turns in one run.

`python training/benchmark.py` makes every file (and the small runs of recipes without a
checkpoint), measures, scores, and writes `docs/benchmarks.md` with its pictures and JSON. What is
done is kept in `out/bench`; an interrupted run goes on where it stopped, `--fresh` measures anew.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError, SegNodeError
from seg_node.files import write_json
from seg_node.tuning import available_cores
from seg_node_training.benchmark_table.cases import Case
from seg_node_training.benchmark_table.hardware import machine
from seg_node_training.benchmark_table.nets import PICTURES_A_SET, Net
from seg_node_training.benchmark_table.page import write_page
from seg_node_training.benchmark_table.plan import Plan, build_plan
from seg_node_training.benchmark_table.plots import draw
from seg_node_training.benchmark_table.result import lines, peak_gops, score_all
from seg_node_training.benchmark_table.turns import Journal, gathered, run_turns
from seg_node_training.config import REPOSITORY
from seg_node_training.revision import source_revision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; `python -m seg_node bench --table OPTIONS` hands them on."""
    parser.add_argument('--work', type=Path, default=REPOSITORY / 'out' / 'bench')
    parser.add_argument('--page', type=Path, default=REPOSITORY / 'docs' / 'benchmarks.md')
    parser.add_argument('--rounds', type=int, default=2, help='rounds of all cases')
    parser.add_argument('--seconds', type=float, default=1.0, help='a case and round')
    parser.add_argument('--threads', type=int, default=available_cores())
    parser.add_argument('--fresh', action='store_true', help='forget earlier measurements')
    parser.add_argument(
        '--files-only', action='store_true', help='make the files, measure nothing'
    )
    parser.add_argument('--page-only', action='store_true', help='draw the stored figures again')
    parser.add_argument('--no-peers', action='store_true')
    parser.add_argument('--no-recipes', action='store_true')


def run(options: argparse.Namespace) -> None:
    """Files, figures of accuracy, measurements, page."""
    if options.rounds < 1 or options.seconds <= 0:
        raise ConfigError('--rounds, --seconds: expected more than 0')
    stored = options.page.parent / 'benchmarks' / 'benchmarks.json'
    if options.page_only:
        if not stored.is_file():
            raise ConfigError(f'{stored}: no figures to draw yet')
        _show(json.loads(stored.read_text()), options.page)
        return
    plan = build_plan(options.work, not options.no_peers, not options.no_recipes)
    scores = score_all(plan, options.work / 'scores')
    if options.files_only:
        return
    journal_path = options.work / 'journal.json'
    if options.fresh and journal_path.is_file():
        shutil.move(journal_path, options.work / 'journal_before.json')
    journal = Journal(journal_path, _fingerprint(options, plan))
    begin = os.getloadavg()[1]
    run_turns(plan.cases, journal, options.rounds, options.seconds, options.threads)
    timing = gathered(plan.cases, journal, options.rounds)
    records = lines(plan, timing, scores)
    macs = {f'{c.model} {c.size[0]}x{c.size[1]}': _macs(c) for c in plan.cases if _is_peak(c)}
    result: dict[str, Any] = {
        'when': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        'revision': source_revision(),
        'machine': machine(),
        'threads': options.threads,
        'rounds': options.rounds,
        'seconds': options.seconds,
        'load': {'begin': begin, 'end': os.getloadavg()[1]},
        'pictures_a_set': PICTURES_A_SET,
        'int8_peak_gops': peak_gops(plan, timing, macs),
        'lines': records,
        'scores': scores,
        'notes': {net.name: _note(net) for net in plan.nets if _note(net)},
        'missing': [{'name': m.name, 'reason': m.reason} for m in plan.missing],
    }
    write_json(stored, result)
    _show(result, options.page)


def _show(result: dict[str, Any], page: Path) -> None:
    pictures = draw(result, page.parent / 'benchmarks')
    write_page(result, page, [f'benchmarks/{p.name}' for p in pictures])
    print(f'{page}: {len(result["lines"])} lines')


def _is_peak(case: Case) -> bool:
    return case.model == 'peak'


def _macs(case: Case) -> int:
    from seg_node_training.benchmark_table.count import multiply_accumulates

    return multiply_accumulates(Path(case.file).with_name('fp32.onnx'))


def _fingerprint(options: argparse.Namespace, plan: Plan) -> str:
    """What makes earlier measurements worthless when it changes."""
    return json.dumps(
        [
            options.rounds,
            options.seconds,
            options.threads,
            [case.name for case in plan.cases],
        ]
    )


def _note(net: Net) -> str:
    said = [net.note] if net.note else []
    notes = net.notes()
    if notes:
        tried = ', '.join(f'{k} {v}' for k, v in notes['lost_points'].items())
        said.append(f'int8 by {notes["method"]} (largest loss in points by method: {tried})')
    return f'{net.size[0]}x{net.size[1]}: {"; ".join(said)}' if said else ''


def command(words: list[str] | None = None) -> int:
    """Run with these words of the command line, its own by default; raises `SegNodeError`.

    Exit status: 0 done, 130 interrupted.
    """
    parser = argparse.ArgumentParser(prog='benchmark.py', description=__doc__)
    add_arguments(parser)
    try:
        run(parser.parse_args(words))
    except KeyboardInterrupt:
        print('benchmark.py: interrupted; the next run goes on from here', file=sys.stderr)
        return 130
    return 0


def main() -> int:
    """Exit status: as `command`, 1 for an error in one line."""
    try:
        return command()
    except SegNodeError as error:
        print(f'benchmark.py: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    raise SystemExit(main())
