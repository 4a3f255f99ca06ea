"""
A process that is busy, and answers a TCP echo on the same reactor.

``python -m benchmarks.busy CASE FUNCTIONS DSN``; the case is ``nothing``, ``functions`` (so many
run, for ever), ``subscriber`` or ``processor`` (of whatever is sent), or ``all``: the first two.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.protocols.wire import Echo
from twisted.python import log

from benchmarks.processes import say, when_dismissed
from benchmarks.record import CHANNEL, fail, run_reactor
from txdoorbell import Doorbell


def main(case: str, functions: str, dsn: str) -> None:
    """Start what there is to do, then the echo."""
    log.startLogging(sys.stderr, setStdout=False)
    bell = Doorbell(reactor, dsn, channels=[CHANNEL])
    heard = [0]
    if case in ("functions", "all"):
        _fill(bell, int(functions))
    if case in ("subscriber", "all"):

        def callback(name: object, channel: str, data: object, pid: int) -> None:
            heard[0] += 1

        bell.subscribe("busy", CHANNEL, callback)
    if case == "processor":
        bell.add(lambda: None)
    bell.startService()
    serving = bell.when_listening().addCallback(lambda _: _serve())
    serving.addCallback(lambda port: _report(port, bell, heard)).addErrback(fail)
    run_reactor()


def _fill(bell: Doorbell, count: int) -> None:
    def make() -> Callable[[], None]:
        return lambda: None

    for _ in range(count - 1):
        bell.add(make())
    bell.add(bell.trigger)


def _serve() -> Deferred[Any]:
    factory = Factory.forProtocol(Echo)
    listening: Deferred[Any] = serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(
        factory
    )
    return listening


def _report(port: Any, bell: Doorbell, heard: list[int]) -> None:
    def end() -> None:
        say(rung=bell.loop.rung, covered=bell.loop.covered, heard=heard[0])
        os._exit(0)

    when_dismissed(end)
    say(port=port.getHost().port)


if __name__ == "__main__":
    main(*sys.argv[1:])
