"""Chromium without a window: a page's DOM or picture in one call, or a page to talk to.

A page to talk to is spoken to by the DevTools protocol over a pipe (fd 3 in, 4 out, JSON ended by
a zero byte: https://chromedevtools.github.io/devtools-protocol).
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
QUIET = (
    '--headless',
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
# WebGL by the processor: https://chromium.googlesource.com/chromium/src/+/main/docs/gpu/swiftshader.md
SOFTWARE_GL = ('--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader')
LIMIT_S = 240.0


def _program() -> str:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip('no Chromium is installed')
    return browser


def browse(page: Path, profile: Path, *options: str) -> str:
    """What Chromium prints for a file with these options."""
    command = [_program(), *QUIET, '--disable-gpu', f'--user-data-dir={profile}', *options]
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    return done.stdout


class Page:
    """One page. `events`: what the browser said by itself, in order."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._in, self._out = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._rest = b''
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        answer = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self._session = {'sessionId': answer['sessionId']}
        for domain in ('Page', 'Network', 'Log'):
            self.call(f'{domain}.enable')

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A method's result; what else comes meanwhile goes to `events`."""
        number = next(self._numbers)
        request = {'id': number, 'method': method, 'params': parameters, **self._session}
        os.write(self._in, json.dumps(request).encode() + b'\0')
        end = time.monotonic() + LIMIT_S
        while (message := self._next(end - time.monotonic())) is not None:
            if message.get('id') == number:
                assert 'error' not in message, message
                return message['result']
        raise TimeoutError(f'{method}: no answer')

    def open(self, address: str) -> None:
        """Go there."""
        self.call('Page.navigate', url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of some JavaScript."""
        return self.call('Runtime.evaluate', expression=expression, returnByValue=True)[
            'result'
        ].get('value')

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """The condition's first true value."""
        end = time.monotonic() + LIMIT_S
        while not (value := condition()):
            assert time.monotonic() < end, f'{what} within {LIMIT_S:.0f} s'
            pause = time.monotonic() + 0.3
            while (left := pause - time.monotonic()) > 0.0:
                self._next(left)
        return value

    def said(self, method: str) -> list[dict[str, Any]]:
        """Parameters of every event of this name."""
        return [e['params'] for e in self.events if e['method'] == method]

    def screenshot(self, path: Path) -> None:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode(self.call('Page.captureScreenshot')['data']))

    def _next(self, wait_s: float) -> dict[str, Any] | None:
        """One message; None when none came in time."""
        end = time.monotonic() + wait_s
        while b'\0' not in self._rest:
            if not select.select([self._out], [], [], max(0.0, end - time.monotonic()))[0]:
                return None
            part = os.read(self._out, 1 << 20)
            assert part, 'the browser ended'
            self._rest += part
        first, self._rest = self._rest.split(b'\0', 1)
        message: dict[str, Any] = json.loads(first)
        if 'method' in message:
            self.events.append(message)
        return message


@contextlib.contextmanager
def open_page(profile: Path, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """An empty page with WebGL; the browser ends with the block."""
    command = [_program(), *QUIET, *SOFTWARE_GL, f'--user-data-dir={profile}']
    command += [f'--window-size={width},{height}', '--remote-debugging-pipe', 'about:blank']
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    # dash redirects fds below 10 alone: 3 and 4 are set from copies that the child is passed.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(3, 4),
        preexec_fn=lambda: _as_3_and_4(their_in, their_out),
    )
    os.close(their_in)
    os.close(their_out)
    try:
        yield Page(our_out, our_in)
    finally:
        process.kill()  # its children end with its sockets; it may take a SIGTERM for a question
        process.wait()
        os.close(our_out)
        os.close(our_in)


def _as_3_and_4(reads: int, writes: int) -> None:
    """In the child: the pipe's ends under the numbers that Chromium expects."""
    high = [os.dup2(each, 200 + i) for i, each in enumerate((reads, writes))]
    for number, each in zip((3, 4), high):
        os.dup2(each, number)
        os.close(each)
