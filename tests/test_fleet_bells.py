"""A fleet of doorbells without PostgreSQL: each loop in one place, and what follows from that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import LogMixin
from txdoorbell.doorbell import Doorbell
from txdoorbell.fleet.policy import Placement
from txdoorbell.leadership import RELEASE_CHANNEL
from txdoorbell.loop import Loop
from txdoorbell.status.model import LockStatus
from txdoorbell.testing import FakeListener, FakeLocks

LONG = 3.0
"""Seconds after which a standby has tried again."""


class FleetTestCase(LogMixin, SynchronousTestCase):
    """Tests of doorbells that share the locks of one server; nothing may be left of them."""

    def setUp(self) -> None:
        """Have a clock, and a server."""
        self.capture_logs()
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.locks = FakeLocks()
        self.ran: list[str] = []
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def host(self, name: str, *, start: bool = True, **options: Any) -> Doorbell:
        """Return a doorbell on a host of its own, with a locked loop; stopped at the end."""
        listener = FakeListener(self.clock, host=name, locks=self.locks)
        bell = Doorbell(self.clock, listener=listener, **{"lock": "billing", **options})
        bell.add(lambda: self.ran.append(name))
        self.addCleanup(self.stop, bell)
        if start:
            bell.startService()
        return bell

    def stop(self, bell: Doorbell) -> None:
        """Stop a doorbell, past its deadline if need be."""
        stopping = bell.stopService()
        self.clock.pump([0, 0, 0])
        if not stopping.called:
            self.clock.pump([30, 0.1, 0.5, 0])
        self.successResultOf(stopping)

    def after(self, seconds: float) -> list[str]:
        """Let time pass, and return who ran in it."""
        self.ran.clear()
        self.clock.pump([0.0, 0.0] + [0.05] * round(seconds / 0.05) + [0.0, 0.0])
        return self.ran

    def holders(self, *bells: Doorbell) -> list[str]:
        """Return the hosts on which the first loop runs."""
        return [bell.loop.lease.host for bell in bells if bell.loop.lease is not None]

    def lock_of(self, bell: Doorbell) -> LockStatus:
        """Return the status of the lock of the first loop."""
        lock = bell.status().loops[0].lock
        assert lock is not None
        return lock

    def listener_of(self, bell: Doorbell) -> FakeListener:
        """Return the fake listener of a doorbell."""
        assert isinstance(bell.listener, FakeListener)
        return bell.listener


class OneHostTests(FleetTestCase):
    """A loop with a lock, on a single host."""

    def test_runs_once(self) -> None:
        """It runs everything once when the lock is held, and not before."""
        bell = self.host("a", start=False)
        bell.startService()
        self.assertEqual((bell.loop.status().state, bell.loop.lease), ("suspended", None))
        self.assertEqual(self.after(1.5), ["a"])
        lease = bell.loop.lease
        assert lease is not None
        self.assertEqual((lease.name, int(lease), lease.host), ("billing", 1, "a"))
        self.assertLess(1000.0, lease.since)

    def test_rings(self) -> None:
        """From then on it is like any other loop."""
        bell = self.host("a")
        self.after(1.5)
        self.listener_of(bell).deliver("doorbell")
        self.assertEqual(self.after(0), ["a"])

    def test_no_lock(self) -> None:
        """A loop without a lock has no lease, is asked nothing, and LISTENs to no release."""
        bell = self.host("a", lock=None)
        self.assertEqual(set(self.after(0)), {"a"})
        self.assertIsNone(bell.loop.lease)
        self.assertIsNone(bell.loop.may_call)
        self.assertIsNone(bell.status().loops[0].lock)
        self.assertNotIn(RELEASE_CHANNEL, bell.switchboard.active_channels)

    def test_release_rings_nothing(self) -> None:
        """The channel on which locks are said to be free rings no loop."""
        bell = self.host("a")
        self.after(1.5)
        self.assertIn(RELEASE_CHANNEL, bell.switchboard.active_channels)
        self.assertNotIn(RELEASE_CHANNEL, bell.channels)
        self.listener_of(bell).deliver(RELEASE_CHANNEL, "billing")
        self.assertEqual(self.after(0.5), [])

    def test_beside(self) -> None:
        """Loops with a lock and without are beside each other on one session."""
        bell = self.host("a", lock=None)
        other = Loop(self.clock, name="other")
        other.add(lambda: self.ran.append("other"))
        bell.add_loop(other, lock="reports")
        self.assertEqual(set(self.after(1.5)), {"a", "other"})
        self.assertIsNotNone(other.lease)

    def test_added_late(self) -> None:
        """A loop with a lock may be added to a service that runs."""
        bell = self.host("a", lock=None)
        self.after(1.5)
        other = Loop(self.clock, name="other")
        other.add(lambda: self.ran.append("other"))
        bell.add_loop(other, lock="reports")
        self.assertEqual(self.after(1.5), ["other"])

    def test_shared(self) -> None:
        """Two loops with one lock run in the same place, by the same lease."""
        bell = self.host("a")
        other = Loop(self.clock, name="other")
        bell.add_loop(other, lock="billing")
        self.after(1.5)
        self.assertIs(other.lease, bell.loop.lease)
        self.assertIsNotNone(other.lease)

    def test_same_key(self) -> None:
        """Two names that PostgreSQL could not tell apart are refused, by both names."""
        bell = self.host("a", lock=COLLISION[0])
        with self.assertRaisesRegex(ValueError, f"{COLLISION[0]!r} and {COLLISION[1]!r} have"):
            bell.add_loop(Loop(self.clock), lock=COLLISION[1])

    def test_wrong(self) -> None:
        """What can't be a lock, an interval or a number is refused when it is said."""
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("0 bytes", {"lock": ""}),
            ("lock_interval", {"lock_interval": 0}),
            ("max_loops", {"max_loops": 0}),
            ("hosts", {"hosts": 0}),
        ]
        for says, options in wrong:
            with self.assertRaisesRegex(ValueError, says):
                Doorbell(self.clock, listener=FakeListener(self.clock), **options)

    def test_no_lock_source(self) -> None:
        """A source that can't hold locks is refused, in words."""

        class Deaf(Service):
            """Hears nothing, and can't hold a lock."""

            report_to = set_channels = lambda *_: None

        source: Any = Deaf()
        with self.assertRaisesRegex(TypeError, "can't hold locks: lock='billing'"):
            Doorbell(self.clock, listener=source, lock="billing")

    def test_refused(self) -> None:
        """Behind a pooler the lock is refused: suspended, not ready, and one line says why."""
        bell = self.host("a", start=False)
        self.listener_of(bell).refuse_locks("a pooler is in between")
        bell.startService()
        self.assertEqual(self.after(10.0), [])
        lock = self.lock_of(bell)
        self.assertEqual((lock.state, lock.reason), ("refused", "a pooler is in between"))
        self.assertIn("lock 'billing' is refused: a pooler is in between", bell.status().unready)
        self.listener_of(bell).lose()
        self.after(0)
        self.assertEqual(self.lock_of(bell), lock)
        self.listener_of(bell).regain()
        self.after(1.5)
        texts = [text for text in self.logged_texts() if "refused" in text]
        self.assertEqual(
            texts, ["loop stays suspended: lock billing is refused: a pooler is in between"]
        )

    def test_poll(self) -> None:
        """poll() runs what holds its lock, and does not wait for what stands by."""
        here, there = self.host("a"), self.host("b")
        self.after(LONG)
        polled = [bell.poll() for bell in (here, there)]
        self.assertEqual(len(self.after(0)), 1)
        for done in polled:
            self.successResultOf(done)

    def test_poll_stopped(self) -> None:
        """poll() of a service that doesn't run listens to nothing: no lock, no run."""
        bell = self.host("a", start=False)
        polled = bell.poll()
        self.assertEqual(self.after(0), [])
        self.successResultOf(polled)


class LossTests(FleetTestCase):
    """The holder loses its session, or only its lock."""

    def active(
        self, bell: Doorbell, canceller: Callable[[Deferred[None]], None] | None = None
    ) -> Any:
        """Have a function active on the holder; return its Deferred."""
        active: Deferred[None] = Deferred(canceller)
        bell.add(lambda: active, name="active")
        self.after(0)
        self.assertEqual(bell.loop.active, "active")
        return active

    def test_session_lost(self) -> None:
        """The active function is cancelled at once, and the log says why, in words."""
        bell = self.host("a")
        self.after(1.5)
        self.active(bell)
        self.listener_of(bell).lose("the network is gone")
        self.clock.advance(0)
        self.assertEqual((bell.loop.active, bell.loop.lease), (None, None))
        self.assertEqual(bell.loop.status().state, "suspended")
        [text] = self.logged_texts()
        self.assertEqual(text, "loop is suspended: lock billing is lost: the network is gone")

    def test_regained(self) -> None:
        """Held again, with a new number, everything runs once, whatever was rung meanwhile."""
        bell = self.host("a")
        self.after(1.5)
        self.listener_of(bell).lose()
        self.after(0)
        for _ in range(3):
            bell.trigger()
        self.assertEqual(self.after(10), [])
        self.listener_of(bell).regain()
        self.assertEqual(self.after(1.5), ["a"])
        self.assertEqual(int(bell.loop.lease or 0), 2)

    def test_not_called(self) -> None:
        """What is due when the session is lost isn't called any more, before anybody is told."""
        bell = self.host("a")
        self.after(1.5)
        self.ran.clear()
        bell.trigger()
        self.listener_of(bell).lose()
        self.clock.advance(0)
        self.assertEqual(self.ran, [])

    def test_stubborn(self) -> None:
        """A function that ignores its cancellation is shown as stuck; no other runs beside it."""

        def refuse(_: Deferred[None]) -> None:
            raise RuntimeError("it goes on")

        bell = self.host("a")
        self.after(1.5)
        active = self.active(bell, refuse)
        self.listener_of(bell).lose()
        self.after(2.0)
        self.assertEqual(bell.loop.stuck, "active")
        self.assertIn("active is stuck in loop", bell.status().sick)
        self.listener_of(bell).regain()
        self.assertEqual(self.after(2.0), [])
        self.assertIsNotNone(bell.loop.lease)
        active.callback(None)
        bell.remove(bell.loop.named("active"))
        self.assertEqual(self.after(0), ["a"])
        self.assertIsNone(bell.loop.stuck)

    def test_stuck_resigns(self) -> None:
        """With stuck="resign" such a function ends the service: a supervisor may kill it."""
        loop = Loop(self.clock, stuck="resign")
        bell = self.host("a", loop=loop)
        resigned: list[str] = []
        bell.on_resign(lambda: resigned.append("resigned"))
        self.after(1.5)

        def refuse(_: Deferred[None]) -> None:
            raise RuntimeError("it goes on")

        self.active(bell, refuse)
        self.listener_of(bell).lose()
        self.after(2.0)
        self.clock.pump([30, 0.1, 0, 0])
        self.assertEqual(resigned, ["resigned"])

    def test_undone(self) -> None:
        """A lock that is lost on a session that lives on is lost; it is tried for anew."""
        bell = self.host("a")
        self.after(1.5)
        self.listener_of(bell).undo_lock("billing")
        self.clock.advance(0)
        self.assertIsNone(bell.loop.lease)
        self.assertEqual(self.after(1.5), ["a"])
        self.assertEqual(int(bell.loop.lease or 0), 2)


class TakeOverTests(FleetTestCase):
    """Two hosts and more."""

    def test_one_place(self) -> None:
        """Of three hosts one runs the loop; the others say who, and are ready to take over."""
        bells = [self.host(name) for name in "abc"]
        self.assertEqual(len(self.after(LONG)), 1)
        [holder] = self.holders(*bells)
        for bell in bells:
            lock = self.lock_of(bell)
            self.assertEqual(lock.holder_host, holder)
            self.assertEqual(lock.number, 1)
            self.assertEqual(lock.state, "standby" if bell.loop.lease is None else "holding")
            self.assertEqual(bell.status().unready, ())

    def test_holder_stops(self) -> None:
        """Stopped in order, the holder's function ends first; then another host begins at once."""
        bells = [self.host(name) for name in "ab"]
        self.after(LONG)
        [holder] = [bell for bell in bells if bell.loop.lease]
        [other] = [bell for bell in bells if not bell.loop.lease]
        active: Deferred[None] = Deferred()
        holder.add(lambda: active)
        self.after(0)
        stopping = holder.stopService()
        self.assertEqual(self.after(5.0), [])
        self.assertNoResult(stopping)
        active.callback(None)
        self.assertEqual(len(self.after(0.3)), 1)
        self.successResultOf(stopping)
        self.assertEqual(int(other.loop.lease or 0), 2)

    def test_holder_lost(self) -> None:
        """The holder dies without a word: another host has it within the interval and a second."""
        bells = [self.host(name) for name in "ab"]
        self.after(LONG)
        [holder] = [bell for bell in bells if bell.loop.lease]
        self.listener_of(holder).lose()
        self.assertEqual(len(self.after(2.0)), 1)

    def test_standby_stops(self) -> None:
        """A standby that stops tries no more, and the holder goes on."""
        bells = [self.host(name) for name in "ab"]
        self.after(LONG)
        [other] = [bell for bell in bells if not bell.loop.lease]
        self.stop(other)
        self.assertEqual(self.lock_of(other).state, "stopped")
        self.assertEqual(self.after(LONG), [])

    def test_restart(self) -> None:
        """A restart gives the lock back and stands anew."""
        bell = self.host("a")
        self.after(1.5)
        restarted = bell.restart()
        self.after(1.5)
        self.successResultOf(restarted)
        self.assertEqual(int(bell.loop.lease or 0), 2)

    def test_left_behind(self) -> None:
        """What ignores its stop keeps the lock until the session ends: not given back in order."""

        def refuse(_: Deferred[None]) -> None:
            raise RuntimeError("it goes on")

        bell = self.host("a")
        self.after(1.5)
        bell.add(lambda: Deferred(refuse))
        self.after(0)
        self.stop(bell)
        self.assertIsNone(self.locks.holder("billing"))

    def test_without_table(self) -> None:
        """Without the table of leases the loop runs, by a lease without a number."""
        self.locks.numbered = False
        bell = self.host("a")
        self.after(1.5)
        assert bell.loop.lease is not None
        self.assertIsNone(bell.loop.lease.number)
        with self.assertRaisesRegex(TypeError, "no table of leases"):
            int(bell.loop.lease)


class SpreadTests(FleetTestCase):
    """Many loops on several hosts."""

    def fleet(
        self, hosts: str, loops: int, max_loops: int | None = None, told: int | None = None
    ) -> list[Doorbell]:
        """Return a doorbell for each host, with so many locked loops each."""
        bells = []
        for name in hosts:
            bell = self.host(name, lock=None, max_loops=max_loops, hosts=told)
            for number in range(loops):
                bell.add_loop(Loop(self.clock, name=f"loop{number}"), lock=f"loop{number}")
            bells.append(bell)
        return bells

    def held(self, bell: Doorbell) -> set[str]:
        """Return the loops that run on a host."""
        return {str(loop.name) for loop in bell.loops if loop.lease is not None}

    def test_max_loops(self) -> None:
        """No host takes more than it may, and every loop for which there is room runs somewhere."""
        bells = self.fleet("abc", 5, max_loops=2)
        self.after(2 * LONG)
        held = [self.held(bell) for bell in bells]
        self.assertEqual(sum(map(len, held)), 5)
        self.assertEqual(len(set().union(*held)), 5)
        self.assertLessEqual(max(map(len, held)), 2)

    def test_taken_bit_by_bit(self) -> None:
        """What a dead host leaves is taken in growing shares; others may come in between."""
        first, second = self.fleet("ab", 0)
        for bell in (first, second):
            for number in range(7):
                bell.add_loop(Loop(self.clock, name=f"loop{number}"), lock=f"loop{number}")
            self.after(LONG)
        self.assertEqual(len(self.held(first)), 7)
        self.listener_of(first).lose()
        counts = [0]
        for _ in range(60):
            self.after(0.05)
            if len(self.held(second)) != counts[-1]:
                counts.append(len(self.held(second)))
        self.assertEqual(counts, [0, 1, 5, 7])

    def test_hosts(self) -> None:
        """Told that they are many, a free loop is left to those that like it best, for a while."""
        names = "abcdefghijklmnopqrst"
        liked = [name for name in names if Placement(name, hosts=100).prefers("loop0")]
        self.assertTrue(0 < len(liked) < 10)
        bells = dict(zip(names, self.fleet(names, 1, told=100), strict=True))
        self.after(2 * LONG)
        for _ in range(len(liked) - 1):
            [holder] = [name for name, bell in bells.items() if self.held(bell)]
            self.assertIn(holder, liked)
            self.stop(bells[holder])
            self.after(0.3)
        [holder] = [name for name, bell in bells.items() if self.held(bell)]
        self.stop(bells[holder])
        self.after(0.15)
        self.assertIsNone(self.locks.holder("loop0"))
        self.after(4 * LONG)
        self.assertIsNotNone(self.locks.holder("loop0"), "others must do, if there is none else")

    def test_too_few(self) -> None:
        """What no host has room for waits, and says why."""
        [bell] = self.fleet("a", 3, max_loops=2)
        self.after(LONG)
        states = [loop.lock.state for loop in bell.status().loops if loop.lock is not None]
        self.assertEqual(sorted(states), ["holding", "holding", "waiting"])
        [reason] = [
            loop.lock.reason
            for loop in bell.status().loops
            if loop.lock is not None and loop.lock.state == "waiting"
        ]
        self.assertEqual(reason, "this process holds as many locks as it may")

    def test_returning(self) -> None:
        """A host that comes back takes nothing from those that hold; it gets what comes free."""
        bells = self.fleet("ab", 4, max_loops=4)
        self.after(LONG)
        self.stop(bells[0])
        self.after(LONG)
        self.assertEqual(len(self.held(bells[1])), 4)
        bells[0].startService()
        self.after(LONG)
        self.assertEqual(self.held(bells[0]), set())
        self.listener_of(bells[1]).lose()
        self.after(LONG)
        self.assertEqual(len(self.held(bells[0])), 4)


COLLISION = ("job-45873", "job-52859")
"""Two names with one key."""
