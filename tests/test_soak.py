"""The judge of the soak: what counts as a miss, and what as the fault's own time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.soak.health import Health, Sample
from tests.soak.record import (
    ABSENCE,
    FLICKERING,
    UNRUNG,
    Event,
    Record,
    Ring,
    StateReader,
    read_events,
    read_rings,
)
from tests.soak.verdict import TOLERANCE, Trouble, Verdict

RING = Ring(1, "a", 10.0, 10.1, True)
HEARD = Event(10.2, "heard", "1")
OUTAGE = Trouble("outage", 9.0, 14.0, 3.0)


def judged(*events: Event, troubles: tuple[Trouble, ...] = ()) -> Verdict:
    """Return the verdict on one ring."""
    return Verdict([RING], events, troubles)


def ran(time: float, channel: str = "a") -> Event:
    """Return a run's beginning."""
    return Event(time, "ran", channel)


class MissTests(SynchronousTestCase):
    """Which rings are missed."""

    def test_heard(self) -> None:
        """A run that begins after a ring was heard covers it."""
        verdict = judged(HEARD, ran(10.3))
        self.assertEqual((verdict.missed, verdict.unproven), ([], []))
        self.assertEqual(verdict.covered[0].began, 10.3)
        self.assertEqual(verdict.unheard, 0)

    def test_heard_before_the_answer(self) -> None:
        """A ring may be heard before its sender has the answer: the run after that covers it."""
        verdict = judged(Event(10.04, "heard", "1"), ran(10.05))
        self.assertEqual(verdict.missed, [])
        self.assertEqual(verdict.covered[0].wait(), 0.0)

    def test_made_good(self) -> None:
        """A ring that nobody heard is covered when everything runs after its commit."""
        verdict = judged(ran(10.2, UNRUNG), ran(10.3))
        self.assertEqual(verdict.missed, [])
        self.assertEqual(verdict.covered[0].began, 10.3)
        self.assertEqual(verdict.unheard, 1)

    def test_never(self) -> None:
        """No run, a run before it, or one of another channel: missed."""
        for events in ([], [HEARD, ran(10.1)], [HEARD, ran(10.3, "b")], [ran(10.3, UNRUNG)]):
            self.assertEqual(len(judged(*events).missed), 1)

    def test_by_chance(self) -> None:
        """A run for another ring on the channel doesn't count: a later one might not come."""
        self.assertEqual(len(judged(Event(10.2, "heard", "2"), ran(10.3)).missed), 1)

    def test_too_late(self) -> None:
        """A run long after, with no fault to explain the wait, comes too late: a miss."""
        late = 10.1 + TOLERANCE + 0.1
        self.assertEqual(len(judged(HEARD, ran(late)).missed), 1)
        self.assertEqual(len(judged(HEARD, ran(late), troubles=(OUTAGE,)).missed), 0)

    def test_flickering(self) -> None:
        """Where a function comes and goes, any run after the answer covers a ring."""
        ring = RING._replace(channel=FLICKERING[0])
        for events, missed in [([ran(10.2, ring.channel)], 0), ([ran(9.9, ring.channel)], 1)]:
            self.assertEqual(len(Verdict([ring], events, []).missed), missed)
        self.assertEqual(Verdict([], [], []).due(ring), 10.1 + TOLERANCE + ABSENCE)

    def test_due(self) -> None:
        """A fault explains a wait until its end, its bound and what the machine may take."""
        verdict = judged(troubles=(OUTAGE,))
        self.assertEqual(verdict.due(RING), 17.0 + TOLERANCE)
        later = Trouble("later", 18.0, 20.0, 1.0)
        self.assertEqual(judged(troubles=(OUTAGE, later)).due(RING), 21.0 + TOLERANCE)
        unrelated = Trouble("unrelated", 30.0, 31.0, 1.0)
        self.assertEqual(judged(troubles=(unrelated,)).due(RING), 10.1 + TOLERANCE)
        over = Trouble("over", 1.0, 2.0, 1.0)
        self.assertEqual(judged(troubles=(over,)).due(RING), 10.1 + TOLERANCE)

    def test_unproven(self) -> None:
        """When everything ran while the COMMIT was under way, the ring may be covered, or not."""
        verdict = judged(ran(10.05, UNRUNG), ran(10.06))
        self.assertEqual((len(verdict.missed), len(verdict.unproven)), (0, 1))


class WaitTests(SynchronousTestCase):
    """How long a fault was felt."""

    def test_after_the_fault(self) -> None:
        """The time for which the fault itself lasts doesn't count."""
        verdict = judged(HEARD, ran(14.5), troubles=(OUTAGE,))
        self.assertEqual(verdict.waits(), {"outage": [0.5]})

    def test_each_its_own(self) -> None:
        """A ring counts for the last fault before it; the longest wait counts."""
        rings = [RING, RING._replace(number=2, before=20.0, after=20.0)]
        second = Trouble("second", 19.0, 19.0, 3.0)
        events = [HEARD, ran(14.5), Event(20.1, "heard", "2"), ran(20.25)]
        verdict = Verdict(rings, events, [OUTAGE, second])
        self.assertEqual(verdict.waits(), {"outage": [0.5], "second": [0.25]})
        self.assertEqual(len(verdict.table()), 3)

    def test_not_alone(self) -> None:
        """Faults that nobody can tell apart are left out."""
        crowded = replace(OUTAGE, alone=False)
        self.assertEqual(judged(HEARD, ran(14.5), troubles=(crowded,)).waits(), {})

    def test_nothing_felt(self) -> None:
        """A fault during which nobody rang was not felt."""
        self.assertEqual(Verdict([], [], [OUTAGE]).waits(), {"outage": [0.0]})


class RecordTests(SynchronousTestCase):
    """What is written down can be read."""

    def setUp(self) -> None:
        """Have a file."""
        self.path = Path(self.mktemp())

    def test_rings(self) -> None:
        """A ring is read as it was written."""
        Record(self.path).ring(RING)
        self.assertEqual(list(read_rings(self.path)), [RING])

    def test_events(self) -> None:
        """An event is read with its time."""
        Record(self.path).event("ran", "a")
        [event] = read_events(self.path)
        self.assertEqual(event[1:], ("ran", "a"))

    def test_states(self) -> None:
        """The last state is known at each time, and how much has happened."""
        reader = StateReader(self.path)
        self.assertEqual(reader.latest(), "")
        record = Record(self.path)
        record.event("state", "waiting")
        record.event("heard", "1")
        self.assertEqual((reader.latest(), reader.changes), ("waiting", 1))
        record.event("ran", UNRUNG)
        with self.path.open("a") as file:
            file.write("1.0\tstate\tlist")
        self.assertEqual((reader.latest(), reader.changes), ("waiting", 2))
        with self.path.open("a") as file:
            file.write("ening\n")
        self.assertEqual((reader.latest(), reader.changes), ("listening", 3))


class HealthTests(SynchronousTestCase):
    """What counts as a leak."""

    def health(self, *samples: Sample) -> Health:
        """Return these samples, each for a quarter of the time."""
        health = Health(1)
        health.samples = [sample for sample in samples for _ in range(5)]
        return health

    def test_steady(self) -> None:
        """What is used for a while is no leak."""
        steady, busy = Sample(10, 50_000_000, 1.0), Sample(20, 80_000_000, 2.0)
        self.assertEqual(self.health(steady, busy, busy, steady).leaks, [])

    def test_grown(self) -> None:
        """What is used more and more is."""
        health = self.health(*(Sample(10 + n, 50_000_000 + n * 10_000_000, 1.0) for n in range(4)))
        self.assertEqual(len(health.leaks), 2)
        self.assertIn("13 at last", health.leaks[0])
        self.assertEqual(len(health.lines()), 3)
