"""
One loop's process: ``python -m benchmarks.loops CASE FUNCTIONS CALLS``.

It says how many microseconds of CPU a call took, on a real reactor unless it says ``clock``, and
without a database. The cases ``plain`` do the same without a loop: what no loop can go below.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python import log

from benchmarks.processes import say
from txdoorbell import WORK_REMAINING, Loop

GAP = 0.002
"""Seconds between two wake-ups: more than the millisecond that epoll counts in."""

FAR = 86_400.0
"""Seconds until those who sleep on are woken."""

_react: Any = reactor


class Meter:
    """
    Says how long calls took, and ends the process.

    :param calls: how many there will be.
    """

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._cpu = self._wall = 0.0

    def start(self) -> None:
        """Begin to count the time."""
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def end(self) -> None:
        """Say it, and end."""
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        say(cpu=cpu / self._calls * 1e6, wall=wall / self._calls * 1e6, calls=self._calls)
        _react.callLater(0, _react.stop)


def _left(count: int) -> Iterator[int]:
    """Return what is to be counted down: how many are left after each call, at last 0."""
    return iter(range(count - 1, -1, -1))


def main(case: str, functions: str, calls: str) -> None:
    """Set a loop going."""
    log.startLogging(sys.stderr, setStdout=False)
    _CASES[case](int(functions), int(calls))
    _react.run(installSignalHandlers=False)


def _rung(make: Callable[[], Callable[[], object]], count: int, calls: int) -> None:
    """Run functions of which the last one rings the loop again."""
    loop, runs = Loop(reactor), max(1, calls // count)
    meter, left, last = Meter(runs * count), _left(runs), make()
    for _ in range(count - 1):
        loop.add(make())

    def last_of_all() -> object:
        if next(left):
            loop.trigger()
        else:
            meter.end()
        return last()

    loop.add(last_of_all)
    _start(loop, meter)


def _start(loop: Loop, meter: Meter) -> None:
    meter.start()
    _react.callWhenRunning(loop.startService)


def _empty() -> Callable[[], object]:
    def function() -> None:
        pass

    return function


def _deferring() -> Callable[[], object]:
    later = _react.callLater

    def function() -> Deferred[None]:
        deferred: Deferred[None] = Deferred()
        later(0, deferred.callback, None)
        return deferred

    return function


def _remaining(count: int, calls: int) -> None:
    """Run functions that all want to be run again."""
    loop, runs = Loop(reactor), max(1, calls // count)
    meter, left = Meter(runs * count), _left(runs)

    def make() -> Callable[[], object]:
        return lambda: WORK_REMAINING

    for _ in range(count - 1):
        loop.add(make())
    loop.add(lambda: WORK_REMAINING if next(left, 0) else meter.end())
    _start(loop, meter)


def _plain(count: int, calls: int) -> None:
    functions = [_empty() for _ in range(count)]
    runs = max(1, calls // count)
    meter = Meter(runs * count)

    def run() -> None:
        meter.start()
        for _ in range(runs):
            for function in functions:
                function()
        meter.end()

    _react.callWhenRunning(run)


def _plain_deferred(count: int, calls: int) -> None:
    function = _deferring()
    meter, left = Meter(calls), _left(calls)

    def call(_: object) -> None:
        deferred: Any = function()
        if next(left):
            deferred.addCallback(call)
        else:
            meter.end()

    meter.start()
    _react.callWhenRunning(call, None)


def _wakeups(count: int, calls: int, gap: float = GAP) -> None:
    """Wake some of many sleepers, each at its own time; each of them goes to sleep again."""

    @cache
    def first() -> float:
        # Asked by the first sleeper. The others must be asleep by then, on a busy machine too.
        wait = 1.0 + count * 30e-6
        _react.callLater(wait - 0.5, meter.start)
        return time.time() + wait

    loop, meter = _sleeping(reactor, count, min(calls, count), first, gap)
    _react.callWhenRunning(loop.startService)


def _sleeping(
    clock: Any, count: int, calls: int, first: Callable[[], float], gap: float
) -> tuple[Loop, Meter]:
    loop = Loop(clock, minimum_delay=0)
    meter, left = Meter(calls), _left(calls)

    def sleeper(number: int) -> Callable[[], float]:
        naps = iter((number * gap if number < calls else FAR + number,))

        def function() -> float:
            nap = next(naps, None)
            if nap is None and not next(left):
                meter.end()
            return first() + (2 * FAR - number if nap is None else nap)

        return function

    for number in range(count):
        loop.add(sleeper(number))
    return loop, meter


def _wakeups_on_a_clock(count: int, calls: int) -> None:
    """Do the same, one at a time, without the system's part: time is a number here."""
    clock, calls = Clock(), min(calls, count)
    clock.advance(time.time())
    first = clock.seconds() + 10.0
    loop, meter = _sleeping(clock, count, calls, lambda: first, 1.0)
    loop.startService()
    while not loop.is_quiet():
        clock.advance(0)
    clock.advance(9.5)
    _react.callWhenRunning(_advance, clock, meter, calls)


def _advance(clock: Clock, meter: Meter, times: int) -> None:
    meter.start()
    for _ in range(times):
        clock.advance(1.0)


def _plain_timers(count: int, calls: int) -> None:
    meter, left = Meter(calls), _left(calls)

    def fired() -> None:
        if next(left):
            _react.callLater(GAP, fired)
        else:
            meter.end()

    _react.callWhenRunning(_react.callLater, GAP, fired)
    meter.start()


_CASES: dict[str, Callable[[int, int], None]] = {
    "plain": _plain,
    "plain-deferred": _plain_deferred,
    "empty": lambda count, calls: _rung(_empty, count, calls),
    "deferred": lambda count, calls: _rung(_deferring, count, calls),
    "remaining": _remaining,
    "wakeups": _wakeups,
    "plain-timers": _plain_timers,
    "wakeups-clock": _wakeups_on_a_clock,
    "wakeups-together": lambda count, calls: _wakeups(count, calls, 0.0),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
