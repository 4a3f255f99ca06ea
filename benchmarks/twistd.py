"""``twistd`` as users start it, and the moment at which it says something."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.processes import environ

PATIENCE = 30.0


class Twistd:
    """
    A running ``twistd -n``.

    :ivar seconds: from its start until it said what was waited for.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("twistd"))]
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [*command, "-n", "--pidfile=", *arguments],
            cwd=folder,
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seconds = 0.0

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_for(self, word: str) -> None:
        """
        Read until it says a word, then go on reading in a thread.

        :raises RuntimeError: it ended first; the text is all that it said.
        """
        assert self._process.stdout is not None
        said = []
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        for line in self._process.stdout:
            said.append(line)
            if word in line:
                self.seconds = time.monotonic() - self._started
                timer.cancel()
                threading.Thread(target=self._process.stdout.read, daemon=True).start()
                return
        raise RuntimeError(f"twistd did not say {word!r}: {''.join(said)}")

    def end(self) -> None:
        """End it as an administrator would."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()


@contextmanager
def twistd(folder: Path, word: str, *arguments: str) -> Iterator[Twistd]:
    """Run ``twistd -n`` in a folder, from the time when it says a word."""
    running = Twistd(folder, *arguments)
    try:
        running.wait_for(word)
        yield running
    finally:
        running.end()


@contextmanager
def doorbell(folder: Path, dsn: str, channel: str) -> Iterator[Twistd]:
    """Run ``twistd -n doorbell``, from the commit of its LISTEN on."""
    arguments = ("doorbell", "--dsn", dsn, "--channel", channel)
    with twistd(folder, "LISTEN committed", *arguments) as running:
        yield running
