"""Run functions once, without a doorbell: for cron, or for whoever wants to see what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher

from txdoorbell.commands.watch import printable
from txdoorbell.loop import Loop
from txdoorbell.processor import Processor
from txdoorbell.settling.assembly import loop_arguments
from txdoorbell.settling.functions import Loaded, Plan
from txdoorbell.settling.load import add_processor
from txdoorbell.settling.settings import LoopOptions
from txdoorbell.status.figures import length

__all__ = ["Progress", "run_once", "run_plan_once"]

_Called = Callable[[str], object]
"""Is called with the name of a function before that is called; perhaps in its thread."""


async def run_once(
    reactor: IReactorTime, processors: Iterable[object], called: _Called | None = None
) -> int:
    """
    Run functions and handler objects once, one at a time, and whatever remains of their work.

    Nothing is listened to, and who wants to be woken later is not.

    :param processors: as :func:`txdoorbell.settling.load.add_processor` takes them.
    :param called: told the name of each function that is called; None for nobody.
    :returns: how many errors were logged meanwhile; 0 when all went well.
    """
    loop = _TellingLoop(reactor, called, name="once", retry=False)
    for processor in processors:
        add_processor(loop, processor)
    with _errors() as errors:
        await _run(loop)
    return len(errors)


async def run_plan_once(reactor: IReactorTime, plan: Plan, called: _Called | None = None) -> int:
    """
    Run everything once that a configuration names, one loop after the other.

    Locks are not asked for, and no database is.

    :param called: as for :func:`run_once`.
    :returns: how many errors were logged meanwhile; 0 when all went well.
    """
    with _errors() as errors:
        for options in plan.settings.loop or (LoopOptions(),):
            loop = _TellingLoop(reactor, called, **{**loop_arguments(options), "retry": False})
            for function in plan.functions:
                if function.loop == options.name:
                    _without_retry(function).add_to(loop)
            await _run(loop)
    return len(errors)


def _without_retry(function: Loaded) -> Loaded:
    options = tuple(option for option in function.options if option[0] != "retry")
    return Loaded(function.loop, function.processor, options)


async def _run(loop: Loop) -> None:
    loop.startService()
    await loop.when_quiet()
    await loop.stopService()


class _TellingLoop(Loop):
    """A loop that tells somebody of each call before it makes it."""

    def __init__(self, reactor: IReactorTime, called: _Called | None, **options: object) -> None:
        super().__init__(reactor, **options)  # type: ignore[arg-type]
        self._called = called

    def _add(self, processor: Processor) -> None:
        if self._called is not None:
            processor.function = _told(self._called, processor.name, processor.function)
        super()._add(processor)


def _told(called: _Called, name: str, function: Callable[..., object]) -> Callable[..., object]:
    def told(**given: object) -> object:
        called(name)
        return function(**given)

    return told


@contextmanager
def _errors() -> Iterator[list[LogEvent]]:
    errors: list[LogEvent] = []

    def note(event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.critical:
            errors.append(event)

    observer = cast(ILogObserver, note)
    globalLogPublisher.addObserver(observer)
    try:
        yield errors
    finally:
        globalLogPublisher.removeObserver(observer)


class Progress:
    """
    Shows a person what is being run.

    :param seconds: says what time it is.
    :param file: a terminal.
    """

    def __init__(self, seconds: Callable[[], float], file: TextIO) -> None:
        self._seconds = seconds
        self._file = file
        self._began = seconds()
        self._calls: dict[str, int] = {}
        self._shown: dict[str, float] = {}

    def called(self, name: str) -> None:
        """Show that a function is called: the first time, and then at most once a second."""
        count = self._calls[name] = self._calls.get(name, 0) + 1
        now = self._seconds()
        if now - self._shown.get(name, now - 1) >= 1:
            self._shown[name] = now
            self._say(name if count == 1 else f"{name}, call {count}")

    def ended(self) -> None:
        """Show that all is done, and how long it took."""
        self._say(f"done, in {length(self._seconds() - self._began)}")

    def _say(self, text: str) -> None:
        self._file.write(f"txdoorbell once: {printable(text)}\n")
        self._file.flush()
