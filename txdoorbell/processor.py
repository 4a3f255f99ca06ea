"""What can be registered with a loop: functions and handler objects, with their options."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Collection, Hashable, Iterable
from reprlib import repr as short_repr
from typing import Any, Protocol, TypeVar, cast

from txdoorbell.loops.causes import Cause
from txdoorbell.loops.outcomes import DONE_FOR_NOW, FOUND_WORK, WORK_REMAINING
from txdoorbell.loops.record import Record
from txdoorbell.notification import check_channels
from txdoorbell.walreading.changes import check_tables

_Choice = TypeVar("_Choice")

_GIVEN = frozenset(("budget", "lease"))
"""What a function is given that has a parameter of that name."""


class TimeBudget:
    """
    The time one call may take before it should return ``WORK_REMAINING``.

    It is counted on a monotonic clock from the moment of its making. Nobody enforces it: a
    function asks :meth:`over_budget` between two items of work. May be asked from any thread.

    :param seconds: the length of the budget.
    :param monotonic: the clock to count on, in seconds.
    """

    __slots__ = ("_end", "_monotonic")

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def over_budget(self) -> bool:
        """Say whether the time is used up, or the call has been cancelled."""
        return self._monotonic() >= self._end

    def remaining(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0.0, self._end - self._monotonic())

    def exhaust(self) -> None:
        """Use up what is left: how a call in a thread is told to come to an end."""
        self._end = -math.inf


class Handler(Protocol):
    """
    An object that :meth:`txdoorbell.loop.Loop.register` takes: depeche_db's ``RunOnNotification``.

    ``payload`` is the decoded one, as in :attr:`txdoorbell.notification.Notification.data`.
    """

    @property
    def notification_channel(self) -> str:
        """The one channel that rings this handler."""

    def interested_in_notification(self, payload: Any) -> bool:
        """Say whether this notification rings the handler."""

    def take_notification_hint(self, payload: Any) -> None:
        """Take note of what the notification says, before the run."""

    def run(self, budget: TimeBudget) -> object:
        """Do the work, and return any result of a processing function."""

    def stop(self) -> object:
        """End a :meth:`run` that is under way soon."""


class Processor:
    """
    One registered function, its options, and where it stands in its loop.

    :param function: what is called. Whatever :data:`key` is, this is the code that runs.
    :param key: what the user knows it by: the function itself, or the handler object.
    :param stop: called when the loop stops, in a thread.
    :ivar channels: what rings it: channels, and :class:`~txdoorbell.wal.Table` objects for tables;
        None for every ring.
    :ivar cause: why it was called last.
    :ivar record: what has happened to it so far.
    :ivar takes: which of ``budget`` and ``lease`` it is given, by name.
    :ivar listed: whether its wake-ups are shown to the user.
    :raises TypeError: when an option has the wrong type; the text names the function.
    :raises ValueError: when an option has an impossible value; the text names the function.
    """

    __slots__ = (
        "blocking",
        "budget",
        "cause",
        "channels",
        "failures",
        "function",
        "hint",
        "interested",
        "interrupted",
        "key",
        "listed",
        "missed",
        "muted",
        "name",
        "not_before",
        "options",
        "order",
        "priority",
        "record",
        "removed",
        "requested",
        "retry",
        "stop",
        "takes",
        "timeout",
        "wake",
    )

    def __init__(
        self,
        function: Callable[..., object],
        *,
        key: Hashable = None,
        name: str | None = None,
        channels: str | Iterable[str] | None = None,
        tables: str | Iterable[str] | None = None,
        interested: Callable[[Any], object] | None = None,
        hint: Callable[[Any], object] | None = None,
        priority: int = 0,
        blocking: bool = False,
        timeout: float | None = None,
        budget: float | None = None,
        retry: bool | None = None,
        stop: Callable[[], object] | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"a processing function must be callable, not {short_repr(function)}")
        self.function = function
        self.key: Hashable = function if key is None else key
        self.name = name or name_of(function)
        self.channels = self._check_rung_by(channels, tables)
        self.interested = self._check_callable("interested", interested)
        self.hint = self._check_callable("hint", hint)
        self.stop = self._check_callable("stop", stop)
        self.priority = self._check_priority(priority)
        self.blocking = blocking
        self.timeout = self._check_seconds("timeout", timeout)
        self.budget = self._check_seconds("budget", budget)
        self.retry = retry
        self.takes = _given_to(function)
        self.options: tuple[object, ...] = (
            (name, self.channels, interested, hint, priority, blocking),
            (self.timeout, self.budget, retry),
        )
        self.order: tuple[int, int] = (-priority, 0)
        self.muted = self.missed = self.removed = self.interrupted = False
        self.listed = True
        self.failures = 0
        self.cause = Cause.START
        self.record = Record()
        self.requested = self.not_before = 0.0
        self.wake: tuple[float, int, Processor] | None = None

    def __repr__(self) -> str:
        return f"<Processor {self.name}>"

    def _check_rung_by(
        self, channels: str | Iterable[str] | None, tables: str | Iterable[str] | None
    ) -> frozenset[str] | None:
        if channels is None and tables is None:
            return None
        try:
            named = frozenset(check_channels(() if channels is None else channels))
            return named | check_tables(() if tables is None else tables)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.name}: {error}") from None

    def _check_priority(self, priority: int) -> int:
        if not isinstance(priority, int):
            raise TypeError(f"{self.name}: priority must be an int, not {short_repr(priority)}")
        return priority

    def _check_callable(self, option: str, value: Callable[..., object] | None) -> Any:
        if value is not None and not callable(value):
            raise TypeError(f"{self.name}: {option} must be callable, not {short_repr(value)}")
        return value

    def _check_seconds(self, option: str, value: float | None) -> float | None:
        return None if value is None else check_seconds(f"{self.name}: {option}", value)


def handler_processor(handler: Handler, blocking: bool | None = None) -> Processor:
    """
    Make a processor of a handler object.

    :param blocking: whether ``run`` goes to a thread; None asks the handler's own attribute
        ``blocking``, and takes it for blocking where it has none.
    :raises TypeError: when the object lacks a part of the protocol; the text names the part.
    """
    for part in ("interested_in_notification", "take_notification_hint", "run", "stop"):
        if not callable(getattr(handler, part, None)):
            raise TypeError(f"handler {short_repr(handler)} has no method {part}()")
    channel = getattr(handler, "notification_channel", None)
    if not isinstance(channel, str):
        raise TypeError(f"handler {short_repr(handler)} has no str notification_channel")
    processor = Processor(
        _budgeted(handler),
        key=cast(Hashable, handler),
        name=f"{type(handler).__qualname__} on {channel}",
        channels=channel,
        interested=lambda notification: handler.interested_in_notification(notification.data),
        hint=lambda notification: handler.take_notification_hint(notification.data),
        blocking=getattr(handler, "blocking", True) if blocking is None else blocking,
        stop=handler.stop,
    )
    processor.options = (channel, processor.blocking)
    return processor


def _budgeted(handler: Handler) -> Callable[[TimeBudget], object]:
    def run(budget: TimeBudget) -> object:
        return handler.run(budget)

    return run


def check_seconds(what: str, value: object, *, zero: bool = False) -> float:
    """
    Check a length of time.

    :param what: what it is, for the error.
    :param zero: whether 0 will do.
    :returns: the seconds as a float.
    :raises TypeError: when it is no number.
    :raises ValueError: when it is negative, zero (unless that will do) or not finite.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{what} must be a number of seconds, not {short_repr(value)}")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not zero):
        least = "0 seconds or more" if zero else "more than 0 seconds"
        raise ValueError(f"{what} must be {least} and finite, not {short_repr(value)}")
    return seconds


def check_choice(what: str, value: _Choice, choices: Collection[_Choice]) -> _Choice:
    """
    Check one of several words.

    :raises ValueError: when it is none of them; the text says which there are.
    """
    if value not in choices:
        raise ValueError(f"{what} must be {' or '.join(map(repr, choices))}, not {value!r}")
    return value


def name_of(function: object) -> str:
    """Return the name a function is known by in logs, unless its user gave one."""
    inner = getattr(function, "func", function)
    name = getattr(inner, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def _given_to(function: Callable[..., object]) -> frozenset[str]:
    try:
        return _GIVEN.intersection(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return frozenset()


__all__ = [
    "DONE_FOR_NOW",
    "FOUND_WORK",
    "WORK_REMAINING",
    "Handler",
    "Processor",
    "TimeBudget",
    "check_choice",
    "check_seconds",
    "handler_processor",
    "name_of",
]
