"""The parts under the status page: histograms, what happened lately, and figures in words."""

from __future__ import annotations

import time
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.bells import BellTestCase
from txdoorbell.loops.histogram import BOUNDS, Slow
from txdoorbell.loops.response import Response
from txdoorbell.status.figures import ago, clean, clock, length, share, until
from txdoorbell.status.history import History, Ring, Run


class HistogramTests(SynchronousTestCase):
    """Durations in buckets."""

    def test_bounds(self) -> None:
        """Each falls into the bucket whose bound it does not exceed."""
        slow = Slow()
        for bound in BOUNDS[1:]:
            slow.add(bound)
        slow.add(1e9)
        durations = slow.among(len(BOUNDS) + 5, 7.0)
        self.assertEqual(durations.counts, (5,) + (1,) * len(BOUNDS))
        self.assertEqual(durations.total, 7.0)

    def test_response(self) -> None:
        """A run without a ring has not been waited for."""
        now = [0.0]
        response = Response(lambda: now[0])
        response.begin()
        self.assertEqual(sum(response.latencies.counts), 0)
        response.rung, now[0] = 1.0, 1.5
        response.begin()
        self.assertEqual((sum(response.latencies.counts), response.latencies.total), (1, 0.5))
        response.begin()
        self.assertEqual(sum(response.latencies.counts), 1)


class HistoryTests(BellTestCase):
    """What is remembered."""

    def setUp(self) -> None:
        """Look at a doorbell once."""
        super().setUp()
        self.bell = self.running(channels=["jobs"], interval=0)
        self.history = History(limit=3)
        self.history.look(self.bell.status(), eventful=False)

    def look(self, eventful: bool = True) -> None:
        """Look again."""
        self.history.look(self.bell.status(), eventful)

    def test_rings(self) -> None:
        """Rings are counted together, from look to look."""
        for _ in range(3):
            self.listener.deliver("jobs")
        self.turn()
        self.look()
        self.assertEqual(list(self.history.rings), [Ring(0.0, "jobs", 3)])
        self.look()
        self.assertEqual(len(self.history.rings), 1)
        self.assertEqual(self.history.rings_since(-1.0), {"jobs": 3})
        self.assertEqual(self.history.rings_since(1.0), {})

    def test_unknown_time(self) -> None:
        """Rings whose time nobody knows are not made up to have been now."""
        self.listener.deliver("jobs")
        self.clock.advance(100)
        self.look(eventful=False)
        self.assertEqual(list(self.history.rings), [])

    def test_runs(self) -> None:
        """A run is remembered with its cause, its time and whether it failed."""
        self.clock.advance(7)
        self.bell.add(lambda: 1 / 0, name="divide", retry=False)
        self.turn()
        self.look()
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(
            list(self.history.runs), [Run(7.0, "loop", "divide", 0.0, "start", 1, True)]
        )

    def test_long_run(self) -> None:
        """A run is remembered when it has ended, from its beginning."""
        active = self.unfired(self.bell)
        self.clock.advance(9)
        self.look()
        self.assertEqual(list(self.history.runs), [])
        active.callback(None)
        self.turn()
        self.look()
        (run,) = self.history.runs
        self.assertEqual((run.at, run.took, run.failed), (0.0, 9.0, False))

    def test_bounded(self) -> None:
        """So much is remembered, and no more."""
        for _ in range(9):
            self.listener.deliver("jobs")
            self.turn()
            self.look()
        self.assertEqual(len(self.history.rings), 3)

    def test_spells(self) -> None:
        """Spells follow one another; those in which nothing was heard add up."""
        history = History()
        for at, state in ((0, "stopped"), (1, "connecting"), (3, "listening"), (3, "listening")):
            history.heard(at, state)
        history.heard(10, "deaf")
        self.assertEqual(history.deaf_seconds(14.0), 6.0)
        spells = [(s.state, begin, end) for s, begin, end in history.spells_since(2.0, 14.0)]
        self.assertEqual(spells, [("connecting", 2.0, 3), ("listening", 3, 10), ("deaf", 10, 14.0)])

    def test_clock_set_back(self) -> None:
        """A wall clock that is set back takes nothing away."""
        history = History()
        history.heard(100, "deaf")
        history.heard(50, "listening")
        self.assertEqual(history.deaf_seconds(60), 0.0)
        self.look()
        self.history.look(replace(self.bell.status(), now=-1000.0), eventful=True)


class FigureTests(SynchronousTestCase):
    """Figures in words."""

    def test_lengths(self) -> None:
        """Two figures are enough for anybody."""
        for seconds, text in (
            (0, "0 µs"),
            (0.0000123, "12 µs"),
            (0.0021, "2.1 ms"),
            (0.9994, "999 ms"),
            (0.9996, "1.0 s"),
            (9.94, "9.9 s"),
            (59.4, "59 s"),
            (60, "1 min"),
            (61, "1 min 01 s"),
            (3599.6, "1 h"),
            (7500, "2 h 05 min"),
            (90000, "1 d 01 h"),
        ):
            self.assertEqual(length(seconds), text)

    def test_ago(self) -> None:
        """Times are told from now."""
        self.assertEqual(ago(None, 5.0), "never")
        self.assertEqual((ago(4.5, 5.0), ago(1.0, 5.0)), ("just now", "4 s ago"))
        self.assertEqual(until(None, 5.0), "when rung")
        self.assertEqual(
            (until(5.0, 5.0), until(5.2, 5.0), until(65, 5)), ("now", "in 1 s", "in 1 min")
        )

    def test_clock(self) -> None:
        """A time of another day has its date."""
        self.assertEqual(len(clock(time.time())), 8)
        self.assertEqual(len(clock(1e9)), 19)

    def test_share(self) -> None:
        """A small share has a decimal."""
        self.assertEqual(
            [share(s) for s in (None, 0.0, 0.004, 0.5)],
            ["not known yet", "0 %", "0.4 %", "50 %"],
        )

    def test_clean(self) -> None:
        """What can't be encoded is replaced, what is too long is cut."""
        self.assertEqual((clean("a\udcffb"), clean("abcdef", 4)), ("a?b", "abc…"))
