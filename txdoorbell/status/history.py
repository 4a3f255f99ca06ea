"""
What has happened lately: a bounded memory of rings, runs and spells of hearing.

It compares each status that it is shown with the one before, so that it costs those who ring and
run nothing. What nobody knew the time of is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from txdoorbell.notification import State
from txdoorbell.status.model import DoorbellStatus, FunctionStatus, LockStatus

__all__ = ["WINDOW", "History", "Ring", "Run", "Spell"]

WINDOW = 300.0
"""Seconds: how far back the timeline goes."""

_FRESH = 2.0
"""Seconds: what was counted since an older look has no time that is known."""


@dataclass(frozen=True)
class Ring:
    """Notifications on a channel, as many as ``count``, at about a time."""

    at: float
    channel: str
    count: int


@dataclass(frozen=True)
class Run:
    """Calls of a function: the last one, and how many there were since the one before it here."""

    at: float
    loop: str
    function: str
    took: float
    cause: str
    count: int
    failed: bool


@dataclass(frozen=True)
class Spell:
    """A state of the listener, from a time until the next spell."""

    at: float
    state: str

    @property
    def hears(self) -> bool:
        """Whether rings were heard; a service that is stopped is not deaf."""
        return self.state in (State.LISTENING, State.STOPPED)


class History:
    """
    Remembers what happened.

    :param limit: how many rings, and how many runs; the oldest are forgotten first.
    """

    def __init__(self, limit: int = 600) -> None:
        self.rings: deque[Ring] = deque(maxlen=limit)
        self.runs: deque[Run] = deque(maxlen=limit)
        self.spells: deque[Spell] = deque(maxlen=limit)
        self._deaf = 0.0
        self._rung: dict[str, int] = {}
        self._calls: dict[tuple[str, str], tuple[int, int]] = {}
        self._looked: float | None = None
        self._leases: dict[tuple[str, str], tuple[int | None, float | None]] = {}
        self._takeovers: dict[tuple[str, str], int] = {}

    def heard(self, at: float, state: str) -> None:
        """Take down a state of the listener; the same again changes nothing."""
        last = self.spells[-1] if self.spells else None
        if last is not None and last.state == state:
            return
        if last is not None and not last.hears:
            self._deaf += max(0.0, at - last.at)
        self.spells.append(Spell(at, state))

    def deaf_seconds(self, now: float) -> float:
        """Return how long in all nothing could be heard while the service was to hear."""
        last = self.spells[-1] if self.spells else None
        running = last is not None and not last.hears
        return self._deaf + (max(0.0, now - last.at) if last and running else 0.0)

    def look(self, status: DoorbellStatus, eventful: bool) -> None:
        """
        Take down what is new in a status.

        :param eventful: whether something has just happened, and so this is its time.
        """
        fresh = self._looked is not None and status.now - self._looked <= _FRESH
        self._look_at_channels(status, eventful or fresh)
        for loop in status.loops:
            for function in loop.functions:
                self._look_at(loop.name, function, status.now)
            if loop.lock is not None:
                self._look_at_lock(loop.name, loop.lock)
        self._looked = status.now

    def takeovers(self, loop: str, lock: str) -> int:
        """Return how often the lock of a loop has been taken here."""
        return self._takeovers.get((loop, lock), 0)

    def _look_at_lock(self, loop: str, lock: LockStatus) -> None:
        key, lease = (loop, lock.name), (lock.number, lock.since)
        if lock.state != "holding":
            self._leases.pop(key, None)
        elif self._leases.get(key) != lease:
            self._leases[key] = lease
            self._takeovers[key] = self._takeovers.get(key, 0) + 1

    def _look_at_channels(self, status: DoorbellStatus, timely: bool) -> None:
        counts = {channel.name: channel.rung for channel in status.channels}
        if timely and self._looked is not None:
            for name, count in counts.items():
                new = count - self._rung.get(name, 0)
                if new > 0:
                    self.rings.append(Ring(status.now, name, new))
        self._rung = counts

    def _look_at(self, loop: str, function: FunctionStatus, now: float) -> None:
        key = (loop, function.name)
        ended = function.runs - function.active
        before, errors = self._calls.get(key, (0, 0))
        if ended > before and function.took is not None and function.began is not None:
            at = now - function.took if function.active else function.began
            failed = function.errors > errors
            new = ended - before
            run = Run(at, loop, function.name, function.took, function.cause, new, failed)
            self.runs.append(run)
        if ended != before:
            self._calls[key] = (ended, function.errors)

    def rings_since(self, at: float) -> dict[str, int]:
        """Return how often each channel has rung since a time, as far as it is remembered."""
        counts: dict[str, int] = {}
        for ring in reversed(self.rings):
            if ring.at < at:
                break
            counts[ring.channel] = counts.get(ring.channel, 0) + ring.count
        return counts

    def spells_since(self, at: float, now: float) -> Iterator[tuple[Spell, float, float]]:
        """Return each spell after a time, with its beginning and its end, cut at both ends."""
        ends = [*(spell.at for spell in self.spells), now][1:]
        for spell, end in zip(self.spells, ends, strict=True):
            if end > at:
                yield spell, max(spell.at, at), end
