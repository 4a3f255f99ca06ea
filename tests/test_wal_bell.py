"""A doorbell with a second bell, on a Clock: what rings whom, and what is one with the first."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop
from txdoorbell.notification import ListenerStopped, State
from txdoorbell.ringing.makers import log_maker
from txdoorbell.testing import FakeListener, FakeWalSource
from txdoorbell.wal import Table, WalSource, check_tables


class SecondBellTests(SynchronousTestCase):
    """A doorbell whose sources are fakes."""

    def setUp(self) -> None:
        """Make the sources; what was asked to run is noted."""
        self.clock = Clock()
        self.listener = FakeListener(self.clock)
        self.log = FakeWalSource(self.clock)
        self.ran: list[str] = []

    def make(self, **options: Any) -> Doorbell:
        """Return a doorbell; stopped, it leaves nothing."""
        sources: Any = {"listener": self.listener, "wal": self.log}
        bell = Doorbell(self.clock, **{**sources, "interval": 0, **options})
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(bell.stopService)
        return bell

    def start(self, bell: Doorbell) -> Doorbell:
        """Start it, and forget what has run."""
        bell.startService()
        self.turn()
        self.ran.clear()
        return bell

    def add(self, bell: Any, name: str, **options: Any) -> None:
        """Add a function that notes its name."""
        bell.add(lambda: self.ran.append(name), name=name, **options)

    def turn(self) -> list[str]:
        """Let all of it go on; return what has run."""
        for _ in range(6):
            self.clock.advance(0)
        ran, self.ran = self.ran, []
        return ran

    def test_none(self) -> None:
        """Without a table there is no second bell, and nothing of it is started."""
        bell = self.start(self.make())
        self.assertEqual((bell.wal, self.log.state), (None, State.STOPPED))

    def test_common(self) -> None:
        """The tables of a doorbell ring every function that names nothing itself."""
        bell = self.make(tables=["jobs"])
        self.add(bell, "all")
        self.add(bell, "mail", channels=["mail"])
        other = Loop(self.clock)
        bell.add_loop(other)
        self.add(other, "other")
        self.start(bell)
        self.assertIs(bell.wal, self.log)
        self.assertEqual(bell.tables, check_tables("jobs"))
        self.assertTrue(self.log.change("public.jobs"))
        self.assertEqual(self.turn(), ["all", "other"])

    def test_of_functions(self) -> None:
        """The tables of a function ring it, and in its own loop those that take every ring."""
        bell = self.make()
        other = Loop(self.clock)
        bell.add_loop(other)
        self.add(bell, "jobs", tables=["jobs"])
        self.add(bell, "all")
        self.add(other, "other")
        self.start(bell)
        self.log.change("public.jobs", "update")
        self.assertEqual(self.turn(), ["jobs", "all"])
        self.assertFalse(self.log.change("public.mail"))
        self.listener.deliver("doorbell")
        self.assertEqual(self.turn(), ["all", "other"])

    def test_message(self) -> None:
        """A message in the log is a ring of its channel, to functions and subscribers."""
        bell = self.make(tables=["jobs"])
        heard: list[object] = []
        bell.subscribe("me", "news", lambda *what: heard.append(what))
        self.add(bell, "mail", channels=["mail"])
        self.start(bell)
        self.log.deliver("mail", "1")
        self.log.deliver("news", "2")
        self.assertEqual((self.turn(), heard), (["mail"], [("me", "news", 2, 0)]))

    def test_comes_and_goes(self) -> None:
        """With the first table the source is started, with the last it is stopped."""
        bell = self.start(self.make())

        def function() -> None:
            """Do nothing."""

        for _ in range(2):
            bell.add(function, tables=["jobs"])
            self.turn()
            self.assertEqual((bell.wal, self.log.state), (self.log, State.LISTENING))
            bell.add_tables("mail")
            self.turn()
            self.assertEqual(self.log.listened - bell.channels, check_tables(["jobs", "mail"]))
            bell.remove(function)
            bell.remove_tables("mail")
            self.turn()
            self.assertEqual((bell.wal, self.log.state), (None, State.STOPPED))

    def test_remove_unknown(self) -> None:
        """A table that isn't there can't be removed, one that a function names rings on."""
        bell = self.make(tables=["jobs"])
        self.add(bell, "jobs", tables=["jobs"])
        with self.assertRaises(KeyError):
            bell.remove_tables(["jobs", "mail"])
        bell.remove_tables("JOBS")
        self.assertEqual(bell.tables, {Table("jobs")})

    def test_catches_up(self) -> None:
        """After each new session of the log everything runs; for a new table, who hears of it."""
        bell = self.make(tables=["jobs"])
        self.add(bell, "all")
        self.add(bell, "mail", tables=["mail"])
        self.start(bell)
        self.log.lose()
        self.turn()
        self.log.regain()
        self.assertEqual(self.turn(), ["all", "mail"])
        self.add(bell, "news", tables=["news"])
        self.assertEqual(self.turn().count("news"), 2)

    def test_both_hear(self) -> None:
        """A doorbell hears when both do; else its safety net is cast more often."""
        bell = self.make(tables=["jobs"], interval=50.0)
        self.add(bell, "all")
        waiter = bell.when_listening()
        self.start(bell)
        self.successResultOf(waiter)
        self.clock.advance(49.0)
        self.assertEqual(self.turn(), [])
        for source in (self.log, self.listener):
            source.lose()
            self.turn()
            self.clock.advance(10.0)
            self.assertEqual(self.turn(), ["all"])
            self.clock.advance(10.0)
            self.assertEqual(self.turn(), ["all"])
            source.regain()
            self.turn()
            self.clock.advance(40.0)
            self.assertEqual(self.turn(), [])

    def test_gives_up(self) -> None:
        """A log that can't be read for long makes the service resign, as a listener does."""
        bell = self.make(tables=["jobs"], give_up_after=30.0)
        self.log.refuse("wal_level is replica")
        resigned: list[int] = []
        bell.on_resign(lambda: resigned.append(1))
        self.start(bell)
        self.clock.advance(31.0)
        self.turn()
        self.assertEqual((resigned, bell.running), ([1], 0))

    def test_not_ready(self) -> None:
        """A doorbell isn't ready before the log is read, and says why."""
        bell = self.make(tables=["jobs"])
        self.log.refuse("wal_level is replica")
        self.start(bell)
        [reason] = bell.status().unready
        self.assertEqual(reason, "the write-ahead log is not being read: wal_level is replica")
        self.assertNoResult(bell.when_listening().addErrback(lambda e: e.trap(ListenerStopped)))
        self.log.regain()
        self.turn()
        self.assertEqual(bell.status().unready, ())

    def test_status(self) -> None:
        """The status has the second bell while there is one: its tables, and what they rang."""
        bell = self.start(self.make())
        self.assertIsNone(bell.status().wal)
        self.clock.advance(5.0)
        bell.add_tables(["jobs", "shop.mail"])
        self.turn()
        for operation in ("insert", "update"):
            self.log.change("public.jobs", operation)
        wal = bell.status().wal
        assert wal is not None
        self.assertEqual((wal.state, wal.since), ("listening", self.clock.seconds()))
        self.assertEqual(wal.tables, ("jobs", "shop.mail"))
        self.assertEqual(wal.rung, {"public.jobs": 2})
        bell.remove_tables(["jobs", "shop.mail"])
        self.assertIsNone(bell.status().wal)

    def test_options(self) -> None:
        """The listener's options go for both sources, but for what is the listener's own."""
        common = {"name": "ear", "channels": ["a"], "host": "here", "query_timeout": 2.0}
        made: Any = log_maker(None, self.clock, "dbname=app", common, {"publication": "own"})()
        self.assertIsInstance(made, WalSource)
        self.assertEqual((made.name, made.channels), (None, frozenset()))
        self.assertRaises(ValueError, log_maker(None, self.clock, "", {"query_timeout": -1}, None))

    def test_stopped(self) -> None:
        """Stopped, it stops both, and starts both again."""
        bell = self.start(self.make(tables=["jobs"]))
        self.successResultOf(bell.stopService())
        self.assertEqual((self.log.state, self.listener.state), (State.STOPPED,) * 2)
        self.start(bell)
        self.add(bell, "all")
        self.turn()
        self.log.change("public.jobs")
        self.assertEqual(self.turn(), ["all"])

    def test_idle(self) -> None:
        """A change is no silence."""
        idle: list[float] = []
        now = self.clock.seconds
        bell = self.make(tables=["jobs"], idle_timeout=10.0, on_idle=lambda: idle.append(now()))
        self.start(bell)
        self.clock.advance(9.0)
        self.log.change("public.jobs")
        self.clock.advance(9.0)
        self.assertEqual(idle, [])
        self.clock.advance(1.0)
        self.assertEqual(len(idle), 1)
