"""Runs fuzz targets: `python test/fuzz/run.py [NAME ...] --cases N [--seed S] [--first I]`.

Each case follows from the seed, the target and its number alone, so a failure is repeated with
the numbers that it prints.  A case that hangs ends the run with the stacks of all threads.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import os
import random
import sys
import time
import traceback
from pathlib import Path

from fuzzing import Target

_FOLDER = Path(__file__).parent


def targets() -> dict[str, Target]:
    """All targets by name: `TARGET` of each `target_*.py` beside this file."""
    found = {}
    for path in sorted(_FOLDER.glob('target_*.py')):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        found[module.TARGET.name] = module.TARGET
    return found


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def reset_peak() -> None:
    """Let the kernel count the largest memory of this process from now on."""
    Path('/proc/self/clear_refs').write_text('5')


def peak_mb() -> float:
    """Largest memory of this process since `reset_peak`."""
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1024.0


def run(target: Target, cases: int, seed: int, first: int) -> bool:
    """Run cases of one target; prints what happened and returns whether all went well."""
    started, warm, number = time.monotonic(), 0.0, first
    try:
        with target.opened() as case:
            reset_peak()
            begun = resident_mb()
            for number in range(first, first + cases):
                faulthandler.dump_traceback_later(target.slow_s, exit=True)
                case(random.Random(f'{seed}/{target.name}/{number}'))
                faulthandler.cancel_dump_traceback_later()
                if (peak := peak_mb() - begun) > target.peak_mb:
                    raise MemoryError(f'a case needed {peak:.0f} MB')
                if number == first + cases // 10:
                    warm = resident_mb()
            grown = resident_mb() - warm
            if grown > target.grows_mb:
                raise MemoryError(f'the process has grown by {grown:.0f} MB')
    except Exception:
        faulthandler.cancel_dump_traceback_later()
        traceback.print_exc()
        print(f'{target.name}: case {number} failed: --seed {seed} --first {number} --cases 1')
        return False
    seconds = time.monotonic() - started
    print(f'{target.name}: {cases} cases, {seconds:.1f} s, {grown:+.0f} MB', flush=True)
    return True


def main() -> int:
    """Entry; exit status 1 when a case failed."""
    known = targets()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'of {", ".join(known)}')
    parser.add_argument('--cases', type=int, help='a target (default: its short number)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--first', type=int, default=0, metavar='I', help='number of the first')
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(known))
    if unknown:
        parser.error(f'{", ".join(unknown)}: expected of {", ".join(known)}')
    good = True
    for name in args.names or known:
        target = known[name]
        good &= run(target, args.cases or target.short, args.seed, args.first)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
