"""What a consumer notes of what it hears: as little as possible, as early as possible."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from twisted.python import log
from twisted.python.failure import Failure

from benchmarks.processes import say, when_dismissed

CHANNEL = "bench"
"""The channel that is measured."""

BEGIN, END = "bench_begin", "bench_end"
"""Channels whose notifications frame a storm, for consumers that aren't told each payload."""


def run_reactor() -> None:
    """Run Twisted's reactor; a signal ends the process as it ends any other."""
    from twisted.internet import reactor

    running: Any = reactor
    running.run(installSignalHandlers=False)


def fail(failure: Failure) -> None:
    """Log an error that should not have been."""
    log.err(failure)


class Record:
    """
    What one consumer has heard; it is reported when enough has come, or when we are told to end.

    :param expected: the number of notifications after which the report is made.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._reported = False
        self.cpu = 0.0

    def ready(self) -> None:
        """Say that LISTEN has been committed, and begin."""
        when_dismissed(self.report)
        self.cpu = time.process_time()
        say(ready=True)

    def report(self) -> None:
        """Say what was heard, and end the process, whatever its library still does."""
        if not self._reported:
            self._reported = True
            say(cpu=time.process_time() - self.cpu, **self.heard_so_far())
            os._exit(0)

    def heard_so_far(self) -> dict[str, object]:
        """Return what is to be reported."""
        raise NotImplementedError

    def hearer(self, payload: Callable[..., str] = str) -> Callable[..., None]:
        """
        Return a callback of up to four arguments, for the consumer's library to call.

        :param payload: finds the payload in those arguments.
        """
        raise NotImplementedError


class Wakes(Record):
    """When each notification was heard; its payload is when it was sent, in nanoseconds."""

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self._heard: list[tuple[int, str]] = []
        self._runs: list[int] = []

    def hearer(self, payload: Callable[..., str] = str) -> Callable[..., None]:
        """Note the time, then the payload."""
        clock, heard, expected = time.monotonic_ns, self._heard, self._expected

        def hear(*arguments: object) -> None:
            now = clock()
            heard.append((now, payload(*arguments)))
            if len(heard) == expected:
                self.report()

        return hear

    def runner(self) -> Callable[[], None]:
        """Return a function that notes when it was run: it is told no payload."""
        clock, runs = time.monotonic_ns, self._runs

        def run() -> None:
            runs.append(clock())

        return run

    def heard_so_far(self) -> dict[str, object]:
        """Return nanoseconds from sending to hearing, and when there were runs."""
        return {
            "heard": len(self._heard),
            "waits": [now - int(sent) for now, sent in self._heard],
            "runs": self._runs,
        }


class Storm(Record):
    """When the first and the last of many notifications came; their payloads don't matter."""

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self._count = 0
        self._first = self._last = 0
        self._last_run = self._first_run_after = 0

    def hearer(self, payload: Callable[..., str] = str) -> Callable[..., None]:
        """Count, and look at the clock twice."""
        clock, expected = time.monotonic_ns, self._expected

        def hear(one: object, two: object = 2, three: object = 3, four: object = 4) -> None:
            self._count += 1
            if self._count == 1:
                self.cpu, self._first = time.process_time(), clock()
            elif self._count == expected:
                self._last = clock()
                self.report()

        return hear

    def began(self, rung: int) -> None:
        """
        Note that the storm begins.

        :param rung: how often the loop has been rung so far.
        """
        self.cpu, self._first = time.process_time(), time.monotonic_ns()
        self._count = -rung

    def ended(self, rung: int) -> None:
        """Note that the storm is over; the next run is the one that counts."""
        self._last = time.monotonic_ns()
        self._count += rung

    def run(self) -> None:
        """Note a run: the first after the storm has been waited for."""
        if self._last:
            self._first_run_after = time.monotonic_ns()
            self.report()

    def heard_so_far(self) -> dict[str, object]:
        """Return nanoseconds."""
        return {
            "heard": self._count,
            "first": self._first,
            "last": self._last,
            "run_after": self._first_run_after,
        }
