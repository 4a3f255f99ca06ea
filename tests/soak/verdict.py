"""
What a soak has shown: which rings were missed, and how long each fault was felt.

Data only. A ring is covered by a run of its channel's function for which that very ring was the
reason: it was heard, and the run began after that; or it wasn't, everything ran after its commit to
make such rings good, and the run is a part of that. A run that another ring on the channel has
caused proves nothing: there might have been none.

Where a function comes and goes, any run after the commit has to do: a function that is added runs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.record import ABSENCE, FLICKERING, UNRUNG, Event, Ring

TOLERANCE = 2.0
"""Seconds that the machine may take for anything, with servers recovering beside it."""


MOMENT = 0.1
"""Seconds before a fault in which a ring was sent that it may have kept from being heard."""


@dataclass(frozen=True)
class Trouble:
    """
    A fault that was made.

    :ivar injected: when it began.
    :ivar lifted: when its cause was gone; what is done at once is gone at once.
    :ivar bound: seconds after that in which all is well again, as promised.
    :ivar alone: whether all was well before it, and again before the next one.
    """

    name: str
    injected: float
    lifted: float
    bound: float
    alone: bool = True


@dataclass(frozen=True)
class Covered:
    """
    A ring, and when its run began.

    :ivar began: None when there was no such run.
    :ivar unproven: everything ran while the COMMIT was under way: perhaps after it.
    """

    ring: Ring
    began: float | None
    unproven: bool

    def wait(self, since: float = 0.0) -> float:
        """Return how long the ring waited for its run, a time before ``since`` not counted."""
        return max(0.0, (self.began or 0.0) - max(self.ring.after, since))


class Verdict:
    """
    The judgement on a soak.

    :param rings: those that were committed.
    :param events: what the doorbell has written down.
    :param troubles: the faults, in order.
    """

    def __init__(
        self, rings: Iterable[Ring], events: Iterable[Event], troubles: Sequence[Trouble]
    ) -> None:
        self.troubles = troubles
        self._heard: dict[str, float] = {}
        self._runs: dict[str, list[float]] = {}
        for event in events:
            if event.kind == "heard":
                self._heard.setdefault(event.what, event.time)
            elif event.kind == "ran":
                self._runs.setdefault(event.what, []).append(event.time)
        for runs in self._runs.values():
            runs.sort()
        self.covered = [self._cover(ring) for ring in rings]

    def _cover(self, ring: Ring) -> Covered:
        heard = self._heard.get(str(ring.number))
        made_good = self._first(UNRUNG, ring.after)
        if ring.channel in FLICKERING:
            made_good = ring.after
        reasons = [time for time in (heard, made_good) if time is not None]
        runs = [self._first(ring.channel, reason) for reason in reasons]
        began = min((run for run in runs if run is not None), default=None)
        meanwhile = self._first(UNRUNG, ring.before)
        return Covered(ring, began, meanwhile is not None and meanwhile < ring.after)

    def _first(self, channel: str, since: float) -> float | None:
        """Return when a channel's function first began at or after some time."""
        runs = self._runs.get(channel, [])
        place = bisect_left(runs, since)
        return runs[place] if place < len(runs) else None

    def due(self, ring: Ring) -> float:
        """Return by when a run must have begun, the faults that were active considered."""
        deadline = ring.after + TOLERANCE
        if ring.channel in FLICKERING:
            deadline += ABSENCE
        for trouble in self.troubles:
            end = trouble.lifted + trouble.bound
            if trouble.injected <= deadline and end >= ring.after:
                deadline = max(deadline, end + TOLERANCE)
        return deadline

    def late(self) -> Iterator[Covered]:
        """Generate the rings that had no run in time, whatever followed later."""
        for covered in self.covered:
            if covered.began is None or covered.began > self.due(covered.ring):
                yield covered

    @property
    def missed(self) -> list[Covered]:
        """The rings that had no run in time: there must be none."""
        return [covered for covered in self.late() if not covered.unproven]

    @property
    def unproven(self) -> list[Covered]:
        """The rings for which nobody can say: a run began while their COMMIT was under way."""
        return [covered for covered in self.late() if covered.unproven]

    @property
    def unheard(self) -> int:
        """How many rings were covered without having been heard."""
        return sum(str(covered.ring.number) not in self._heard for covered in self.covered)

    def waits(self) -> dict[str, list[float]]:
        """
        Return how long each fault was felt, by name.

        That is the longest that any ring from this fault to the next waited for its run, the time
        aside that the fault itself lasted. Faults that came too soon one after the other are left
        out: nobody can tell them apart.
        """
        found: dict[str, list[float]] = {}
        ends = [trouble.injected - MOMENT for trouble in self.troubles[1:]] + [float("inf")]
        times = sorted((c for c in self.covered if c.began is not None), key=_after)
        for trouble, end in zip(self.troubles, ends, strict=True):
            begin = trouble.injected - MOMENT
            first, last = (bisect_left(times, t, key=_after) for t in (begin, end))
            felt = [covered.wait(trouble.lifted) for covered in times[first:last]]
            if trouble.alone:
                found.setdefault(trouble.name, []).append(max(felt, default=0.0))
        return found

    def table(self) -> list[str]:
        """Return lines: each kind of fault, how often, how long it was felt."""
        lines = [f"{'felt':<34}{'times':>6}{'median':>10}{'worst':>10}"]
        for name, waits in sorted(self.waits().items()):
            figures = f"{median(waits):>8.3f} s{max(waits):>8.3f} s"
            lines.append(f"{name:<34}{len(waits):>6}{figures}")
        return lines


def _after(covered: Covered) -> float:
    return covered.ring.after
