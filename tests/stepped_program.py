"""
A doorbell in a process whose wall clock is stepped; run by tests.test_steps as a program.

``python -m tests.stepped_program WHAT SECONDS`` steps the wall clock by so many seconds one second
after the start, and prints as JSON how many seconds had really passed at each call of a function:
one that the safety net rings each second (``net``), or one that wants to be called again half an
hour of the wall clock later, and not before 2 s (``sleeper``).
"""

from __future__ import annotations

import json
import sys
import threading
import time

_offset = 0.0
_true_time = time.time
time.time = lambda: _true_time() + _offset

from twisted.internet import reactor  # noqa: E402 - Twisted takes its clock when it is imported
from twisted.internet.interfaces import IReactorFromThreads  # noqa: E402

from txdoorbell.doorbell import Doorbell  # noqa: E402
from txdoorbell.loop import Loop  # noqa: E402
from txdoorbell.testing import FakeListener  # noqa: E402


def _step(seconds: float) -> None:
    global _offset  # noqa: PLW0603 - it stands for the clock of the machine
    _offset = seconds


def main(what: str, seconds: float, lasts: float = 5.0) -> None:
    """Run a doorbell; threads step the clock, and end it, by the time that really passes."""
    calls: list[float] = []
    began = time.monotonic()

    def function() -> float | None:
        calls.append(round(time.monotonic() - began, 3))
        return time.time() + 1800 if what == "sleeper" else None

    bell = Doorbell(
        reactor,
        listener=FakeListener(reactor),
        interval=1.0 if what == "net" else 0.0,
        loop=Loop(reactor, minimum_delay=2.0),
    )
    bell.add(function)
    reactor.callWhenRunning(bell.startService)
    for after, call in ((1.0, lambda: _step(seconds)), (lasts, _end)):
        thread = threading.Timer(after, call)
        thread.daemon = True
        thread.start()
    reactor.run()
    sys.stdout.write(json.dumps(calls))


def _end() -> None:
    IReactorFromThreads(reactor).callFromThread(reactor.stop)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
