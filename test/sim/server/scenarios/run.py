"""What a CARLA user does, run with the unmodified client in a process of its own.

`python run.py NAME PORT JSON` prints one line of JSON.  No test module: the client must not share
a process with the server or with pytest, and may abort at exit.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import actors
import episodes
import examples
import pictures

SCENARIOS = {
    name: found
    for module in (actors, episodes, examples, pictures)
    for name, found in vars(module).items()
    if callable(found) and found.__module__ == module.__name__
}


if __name__ == '__main__':
    name, port, arguments = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    try:
        print(json.dumps(SCENARIOS[name](port, **arguments)), flush=True)
        status = 0
    except Exception:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Destructors of the client library abort the process now and then.
    os._exit(status)
