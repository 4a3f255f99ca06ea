"""
What a fleet's entries show: whether a loop ran in two places, and how long take-overs took.

Data only. A write is *stale* when one under a newer lease of the same loop was there before it. Two
processes ran one loop at a time exactly when there is a stale write. The fence has to refuse each;
and there may be none at all, but for what nobody can prevent:

* the process was held up, frozen or starved, before the write: it couldn't know;
* its session was ended from outside: the server frees the lock at once, and the process learns of
  that when it reads its socket, or, at the latest, when its lease runs out.

Being held up is no excuse for beginning a call: the lease is looked at before each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from tests.fleet.ledger import Entry

HELD_UP = 0.1
"""Seconds by which a write comes late that was held up: fewer than a lease is spared of."""


class Cut(NamedTuple):
    """The end of a process, or of its session, from outside."""

    boot: str
    at: float


@dataclass(frozen=True)
class Trouble:
    """
    A fault that was made.

    :ivar name: of its kind.
    :ivar at: when.
    :ivar since: from when on a take-over was possible: later where the server itself was away.
    :ivar numbers: the loops that it took from their holders, with the numbers of the leases.
    :ivar orderly: whether the holder was asked to stop: the take-over counts from its last write.
    """

    name: str
    at: float
    since: float
    numbers: Mapping[str, int]
    orderly: bool = False


class Stale(NamedTuple):
    """A stale write, and since when there had been one under a newer lease."""

    entry: Entry
    since: float


class Judgement:
    """
    The judgement on a fleet.

    :param entries: all that was written.
    :param cuts: of processes and their sessions.
    :param lease: seconds that a holder may be silent.
    """

    def __init__(self, entries: Iterable[Entry], cuts: Iterable[Cut], lease: float) -> None:
        self.entries = sorted(entries, key=lambda entry: (entry.at, entry.number))
        self._cuts = list(cuts)
        self._lease = lease
        self.stale = list(self._stale())

    def _stale(self) -> Iterator[Stale]:
        newest: dict[str, list[tuple[int, float]]] = {}
        for entry in self.entries:
            known = newest.setdefault(entry.loop, [])
            since = next((at for number, at in known if number > entry.number), None)
            if since is not None:
                yield Stale(entry, since)
            elif not known or entry.number > known[-1][0]:
                known.append((entry.number, entry.at))

    @property
    def shared(self) -> list[tuple[str, int]]:
        """The leases, loop and number, that more than one process has had: there must be none."""
        holders: dict[tuple[str, int], set[str]] = {}
        for entry in self.entries:
            holders.setdefault((entry.loop, entry.number), set()).add(entry.boot)
        return [lease for lease, boots in holders.items() if len(boots) > 1]

    @property
    def unfenced(self) -> list[Stale]:
        """The stale writes that were accepted: there must be none."""
        return [stale for stale in self.stale if stale.entry.accepted]

    @property
    def refused(self) -> list[Entry]:
        """The writes that the fence refused."""
        return [entry for entry in self.entries if not entry.accepted]

    @property
    def wrongful(self) -> list[Stale]:
        """The stale writes for which there is no excuse: there must be none."""
        return [stale for stale in self.stale if not self._excused(stale)]

    def _excused(self, stale: Stale) -> bool:
        entry, since = stale
        if entry.kind == "begin" and entry.began >= since:
            return self._was_cut(entry.boot, since, entry.began)
        return entry.at - entry.due >= HELD_UP or self._was_cut(entry.boot, since, entry.due)

    def _was_cut(self, boot: str, before: float, then: float) -> bool:
        """Say whether a process may not have known yet that its session had been ended."""
        return any(
            cut.boot == boot and cut.at <= before and then - cut.at <= self._lease
            for cut in self._cuts
        )

    def takeovers(self, troubles: Sequence[Trouble]) -> dict[str, list[float]]:
        """Return how long each loop was without a holder, in seconds, by kind of fault."""
        found: dict[str, list[float]] = {}
        for trouble in troubles:
            for loop, number in trouble.numbers.items():
                if (at := self._newer(loop, number)) is not None:
                    since = self._last(loop, number) if trouble.orderly else 0.0
                    waited = max(0.0, at - max(trouble.since, since))
                    found.setdefault(trouble.name, []).append(waited)
        return found

    def _newer(self, loop: str, number: int) -> float | None:
        return next((e.at for e in self.entries if e.loop == loop and e.number > number), None)

    def _last(self, loop: str, number: int) -> float:
        return max((e.at for e in self.entries if (e.loop, e.number) == (loop, number)), default=0)

    def table(self, troubles: Sequence[Trouble]) -> list[str]:
        """Return lines: each kind of fault, how often, and how long take-overs took."""
        lines = [f"{'taken over after':<34}{'times':>6}{'loops':>7}{'median':>10}{'worst':>10}"]
        waits = self.takeovers(troubles)
        for name in sorted({trouble.name for trouble in troubles}):
            times = sum(trouble.name == name for trouble in troubles)
            line = f"{name:<34}{times:>6}{len(waits.get(name, ())):>7}"
            if name in waits:
                line += f"{median(waits[name]):>8.3f} s{max(waits[name]):>8.3f} s"
            lines.append(line)
        return lines
