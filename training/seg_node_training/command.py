"""What the commands of training share: errors in one line, exit statuses."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from seg_node.errors import SegNodeError


def run_command(
    parser: Callable[[], argparse.ArgumentParser], run: Callable[[argparse.Namespace], None]
) -> int:
    """Exit status of a command: 0 done, 1 error in one line, 130 interrupted."""
    arguments_parser = parser()
    try:
        run(arguments_parser.parse_args())
    except SegNodeError as error:
        print(f'{arguments_parser.prog}: {error}', file=sys.stderr)
        return 1
    except OSError as error:  # no permission, no space: the system names file and reason
        place = f'{error.filename}: ' if error.filename else ''
        print(f'{arguments_parser.prog}: {place}{error.strerror or error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
