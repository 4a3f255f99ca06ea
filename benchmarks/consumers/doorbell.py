"""txdoorbell, in four ways: a subscriber, a processor, a handler object and ``async for``."""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python import log

from benchmarks.consumers.handlers import Handler
from benchmarks.record import BEGIN, CHANNEL, END, Record, Storm, Wakes, fail, run_reactor
from txdoorbell import Doorbell

LIMIT = 10_000_000
"""How many notifications ``async for`` keeps: all, so that none is dropped here."""


def run(dsn: str, record: Record, variant: str) -> None:
    """Start the service, and run the reactor."""
    log.startLogging(sys.stderr, setStdout=False)
    bell = Doorbell(reactor, dsn, channels=[CHANNEL] if variant == "processor" else [])
    _WAYS[variant](bell, record)
    bell.startService()
    bell.when_listening().addCallback(lambda _: record.ready())
    run_reactor()


def _subscriber(bell: Doorbell, record: Record) -> None:
    bell.subscribe("bench", CHANNEL, record.hearer(lambda name, channel, data, pid: data))


def _processor(bell: Doorbell, record: Record) -> None:
    if isinstance(record, Wakes):
        bell.add(record.runner())
    elif isinstance(record, Storm):
        storm = record
        bell.subscribe("begin", BEGIN, lambda *_: storm.began(bell.loop.rung))
        bell.subscribe("end", END, lambda *_: storm.ended(bell.loop.rung))
        bell.add(storm.run)


def _handler(bell: Doorbell, record: Record) -> None:
    bell.register(Handler(record))


def _stream(bell: Doorbell, record: Record) -> None:
    hear = record.hearer()
    stream = bell.notifications(CHANNEL, limit=LIMIT)

    async def read() -> None:
        async for notification in stream:
            hear(notification.payload)

    Deferred.fromCoroutine(read()).addErrback(fail)


_WAYS = {
    "subscriber": _subscriber,
    "processor": _processor,
    "handler": _handler,
    "stream": _stream,
}
