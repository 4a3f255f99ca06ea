"""The judge of a fleet: what counts as running in two places, and what excuses there are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fleet.judge import Cut, Judgement, Trouble
from tests.fleet.ledger import Entry

LEASE = 0.9
OLD = Entry("mail", 1, "a.1", 1, "begin", True, 10.0, 10.0, 10.001)
NEW = Entry("mail", 2, "b.1", 1, "begin", True, 12.0, 12.0, 12.001)


def stale(due: float, at: float, kind: str = "step", began: float = 10.0) -> Entry:
    """Return a write under the old lease, refused."""
    return OLD._replace(kind=kind, accepted=False, began=began, due=due, at=at)


def judged(*entries: Entry, cuts: tuple[Cut, ...] = ()) -> Judgement:
    """Return the judgement on the old holder, the new one, and some more."""
    return Judgement([OLD, NEW, *entries], cuts, LEASE)


class PlaceTests(SynchronousTestCase):
    """A loop runs in one place."""

    def test_one_after_the_other(self) -> None:
        """The old holder wrote, then the new one: as it should be."""
        verdict = judged(NEW._replace(kind="end", at=12.2))
        self.assertEqual((verdict.shared, verdict.stale, verdict.refused), ([], [], []))

    def test_shared(self) -> None:
        """Two processes with one number of a loop; other loops have their own numbers."""
        self.assertEqual(judged(NEW._replace(boot="c.1", at=13.0)).shared, [("mail", 2)])
        self.assertEqual(judged(NEW._replace(boot="c.1", loop="billing")).shared, [])

    def test_unfenced(self) -> None:
        """A stale write that was accepted is told, whatever the excuse."""
        verdict = judged(stale(10.2, 12.1)._replace(accepted=True))
        self.assertEqual(len(verdict.unfenced), 1)
        self.assertEqual(verdict.wrongful, [])

    def test_in_time(self) -> None:
        """A write under the old lease that was made in time, late in the list, is not stale."""
        self.assertEqual(judged(stale(11.9, 11.95)).stale, [])

    def test_loops_apart(self) -> None:
        """A newer number of another loop makes nothing stale."""
        self.assertEqual(judged(stale(12.5, 12.5)._replace(loop="billing")).stale, [])


class ExcuseTests(SynchronousTestCase):
    """Which stale writes nobody can prevent."""

    def test_held_up(self) -> None:
        """A write that was due before its process was frozen: it couldn't know."""
        verdict = judged(stale(10.04, 13.0))
        self.assertEqual((len(verdict.stale), len(verdict.refused)), (1, 1))
        self.assertEqual(verdict.wrongful, [])

    def test_goes_on(self) -> None:
        """A function that goes on, step by step, beside the new holder's has not been ended."""
        self.assertEqual(len(judged(stale(13.0, 13.01)).wrongful), 1)

    def test_begins(self) -> None:
        """Being held up is no excuse for beginning a call after the new holder has written."""
        begins = stale(13.0, 13.5, "begin", began=13.0)
        self.assertEqual(len(judged(begins).wrongful), 1)

    def test_had_begun(self) -> None:
        """A call that had begun, its first write held up, is no new one."""
        self.assertEqual(judged(stale(11.9, 13.5, "begin", began=11.9)).wrongful, [])

    def test_cut(self) -> None:
        """Who doesn't know yet that its session was ended may go on, while its lease lasts."""
        cut = Cut("a.1", 11.9)
        soon, later = stale(12.2, 12.21), stale(12.9, 12.91)
        self.assertEqual(judged(soon, cuts=(cut,)).wrongful, [])
        self.assertEqual(len(judged(later, cuts=(cut,)).wrongful), 1)
        self.assertEqual(len(judged(soon, cuts=(Cut("c.1", 11.9),)).wrongful), 1)
        self.assertEqual(len(judged(soon, cuts=(Cut("a.1", 12.1),)).wrongful), 1)
        begins = stale(12.2, 12.21, "begin", began=12.2)
        self.assertEqual(judged(begins, cuts=(cut,)).wrongful, [])


class TakeoverTests(SynchronousTestCase):
    """How long a loop was without a holder."""

    def test_since_the_fault(self) -> None:
        """From the fault to the first write under a newer lease, whoever has it."""
        trouble = Trouble("killed", 11.0, 11.0, {"mail": 1})
        [took] = judged().takeovers([trouble])["killed"]
        self.assertAlmostEqual(took, 1.001)

    def test_since_the_server(self) -> None:
        """The time for which the server itself was away doesn't count."""
        trouble = Trouble("restarted", 11.0, 11.5, {"mail": 1})
        [took] = judged().takeovers([trouble])["restarted"]
        self.assertAlmostEqual(took, 0.501)

    def test_since_the_end(self) -> None:
        """Who stops in order may come to the end of its function first."""
        last = OLD._replace(kind="end", due=11.9, at=11.9)
        trouble = Trouble("stopped", 11.0, 11.0, {"mail": 1}, orderly=True)
        [took] = judged(last).takeovers([trouble])["stopped"]
        self.assertAlmostEqual(took, 0.101)

    def test_none(self) -> None:
        """A fault that took nothing from anybody is counted, and has no times."""
        trouble = Trouble("frozen", 11.0, 11.0, {})
        self.assertEqual(judged().takeovers([trouble]), {})
        [_, line] = judged().table([trouble])
        self.assertEqual(line.split(), ["frozen", "1", "0"])
