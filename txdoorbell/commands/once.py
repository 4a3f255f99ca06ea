"""Run functions once, without a doorbell: for cron, or for whoever wants to see what they do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher

from txdoorbell.loop import Loop
from txdoorbell.settling.load import add_processor

__all__ = ["run_once"]


async def run_once(reactor: IReactorTime, processors: Iterable[object]) -> int:
    """
    Run functions and handler objects once, one at a time, and whatever remains of their work.

    Nothing is listened to, and who wants to be woken later is not.

    :param processors: as :func:`txdoorbell.settling.load.add_processor` takes them.
    :returns: how many errors were logged meanwhile; 0 when all went well.
    """
    loop = Loop(reactor, name="once", retry=False)
    for processor in processors:
        add_processor(loop, processor)
    errors: list[LogEvent] = []

    def note(event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.critical:
            errors.append(event)

    observer = cast(ILogObserver, note)
    globalLogPublisher.addObserver(observer)
    try:
        loop.startService()
        await loop.when_quiet()
        await loop.stopService()
    finally:
        globalLogPublisher.removeObserver(observer)
    return len(errors)
