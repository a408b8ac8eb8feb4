"""End with the process that started the server."""

from __future__ import annotations

import os
import signal
import threading
import time

_LOOK_S = 0.3


def end_with(pid: int) -> None:
    """From now on SIGTERM comes when `pid` is no longer this process's parent.

    `pid` is told by the parent: asked here, the parent could be gone already, and seconds pass
    until the server serves.
    """

    def look() -> None:
        while os.getppid() == pid:
            time.sleep(_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, name='parent', daemon=True).start()
