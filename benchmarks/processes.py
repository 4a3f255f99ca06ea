"""Processes of ours that report by lines of JSON, and end when they are told or when we end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

HERE = Path(__file__).resolve().parent.parent
"""The checkout: where this package and the plugin are found, installed or not."""

Message = dict[str, Any]
"""What a process says in one line."""


class ProcessFailed(Exception):
    """A process ended early, or said nothing for too long; the text has its last words."""


class Process:
    """
    A Python module run as a process.

    :param module: its name, followed by its arguments.
    :param log: the file that takes what it writes to standard error.
    """

    def __init__(self, module: str, *arguments: object, log: Path) -> None:
        self.name = " ".join([module, *map(str, arguments[:2])])
        self._log = log
        self._lines: Queue[str] = Queue()
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environ(),
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def hear(self, what: str, within: float) -> Message:
        """
        Wait for the next line.

        :param what: what it should be, for the error.
        :param within: seconds.
        :raises ProcessFailed: it did not come.
        """
        message = self.listen(within)
        if message is None:
            raise ProcessFailed(f"{self.name}: no {what} within {within:g} s: {self._last_words()}")
        return message

    def listen(self, within: float) -> Message | None:
        """
        Wait for the next line, and return None when there is none in time.

        :raises ProcessFailed: the process has ended.
        """
        try:
            line = self._lines.get(timeout=within)
        except Empty:
            return None
        if not line:
            raise ProcessFailed(f"{self.name} has ended: {self._last_words()}")
        message: Message = json.loads(line)
        return message

    def _last_words(self) -> str:
        return " / ".join(self._log.read_text(errors="replace").splitlines()[-3:])

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Close its standard input, by which it knows that it is to end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def end(self, patience: float = 5.0) -> None:
        """Have it end: by closing its input, and by force after so many seconds."""
        self.dismiss()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def environ() -> dict[str, str]:
    """Return our environment, in which Python finds what is in the checkout."""
    return {**os.environ, "PYTHONPATH": str(HERE)}


def say(**message: Any) -> None:
    """Write one line of JSON to standard output, for the process that started this one."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def when_dismissed(function: Callable[[], object]) -> None:
    """Call a function, in a thread, once standard input is closed."""

    def wait() -> None:
        sys.stdin.read()
        function()

    threading.Thread(target=wait, daemon=True).start()
