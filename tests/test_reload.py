"""SIGHUP: a configuration that is read again, while the doorbell goes on listening."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.commands import Command, CommandTestCase
from tests.servers import execute, shared_server
from tests.waiting import wait_for
from txdoorbell.loop import Loop
from txdoorbell.settling.assembly import Assembly
from txdoorbell.settling.functions import Changes, Loaded, Plan, Roster
from txdoorbell.settling.reload import Reloader, needs_restart
from txdoorbell.settling.settings import Database, LoopOptions, Probe, Settings
from txdoorbell.testing import advance_until_quiet
from txdoorbell.wal import WalSource


class RosterTests(SynchronousTestCase):
    """Functions come and go."""

    def setUp(self) -> None:
        """Begin with two loops that run."""
        self.clock = Clock()
        self.loops = {"a": Loop(self.clock, name="a"), "b": Loop(self.clock, name="b")}
        self.roster = Roster(self.loops)
        self.ran: list[str] = []
        for loop in self.loops.values():
            loop.startService()
            self.addCleanup(loop.stopService)

    def noting(self, name: str, result: float | None = None) -> Callable[[], object]:
        """Return a function that notes that it ran."""

        def run() -> float | None:
            self.ran.append(name)
            return result

        return run

    def settle(self, *wanted: Loaded) -> Changes:
        """Let the loops have these functions, and whatever is due run."""
        self.ran.clear()
        changes = self.roster.settle(wanted)
        for loop in self.loops.values():
            advance_until_quiet(self.clock, loop)
        return changes

    def test_come_and_go(self) -> None:
        """A new function is due at once, a missing one is not called again."""
        one, two = self.noting("one"), self.noting("two")
        self.assertEqual(self.settle(Loaded("a", one, ())), Changes(1, 0, 0))
        self.assertEqual(self.settle(Loaded("b", two, ())), Changes(1, 1, 0))
        self.assertEqual(self.ran, ["two"])
        self.assertEqual([list(loop.get_processors()) for loop in self.loops.values()], [[], [two]])

    def test_unchanged(self) -> None:
        """One that stays as it was isn't called, and is woken when it wanted to be."""
        sleeper = Loaded("a", self.noting("sleeper", 600.0), (("priority", 1),))
        self.settle(sleeper)
        self.assertEqual(self.settle(sleeper, Loaded("a", self.noting("b"), ())), Changes(1, 0, 0))
        self.assertEqual(self.ran, ["b"])
        self.assertEqual(list(self.loops["a"].wakeups.values()), [600.0])

    def test_changed(self) -> None:
        """One with other options, or in another loop, is taken out and added again."""
        run = self.noting("run")
        self.settle(Loaded("a", run, ()))
        self.assertEqual(self.settle(Loaded("a", run, (("priority", 1),))), Changes(0, 0, 1))
        self.assertEqual(self.ran, ["run"])
        self.assertEqual(self.settle(Loaded("b", run, (("priority", 1),))), Changes(1, 1, 0))
        self.assertEqual(self.ran, ["run"])


class NeedsRestartTests(SynchronousTestCase):
    """What can't be changed while it runs."""

    def test_live(self) -> None:
        """Channels, tables, interval, functions and further loops can."""
        wanted = Settings(("x",), ("jobs",), interval=1.0, loop=(LoopOptions(name="mail"),))
        self.assertEqual(needs_restart(Settings(), wanted), [])

    def test_late(self) -> None:
        """All else is named; what it says isn't, for it may be a secret."""
        started = Settings(loop=(LoopOptions(name="a"), LoopOptions(name="b")))
        wanted = Settings(
            database=Database(dsn="dbname=x", password="geheim"),
            probe=Probe(interval=3.0),
            stop_channel="stop",
            loop=(LoopOptions(name="a", timeout=3.0),),
        )
        self.assertEqual(
            needs_restart(started, wanted),
            [
                "stop_channel",
                "database.dsn",
                "database.password",
                "probe.interval",
                "loop a: timeout",
                "loop b (it stays, without functions)",
            ],
        )


class AssemblyTests(SynchronousTestCase):
    """A doorbell that is put together by settings, and changed by further ones."""

    def setUp(self) -> None:
        """Put one together; it is not started."""
        self.first = Settings(channels=("a", "b"), loop=(LoopOptions(name="one"),))
        self.assembly = Assembly(Clock(), Plan(self.first), "dbname=app")
        self.bell = self.assembly.bell

    def names(self) -> list[str | None]:
        """Return the names of the loops."""
        return [loop.name for loop in self.bell.loops]

    def test_made(self) -> None:
        """It has what the settings say."""
        self.assertEqual(self.bell.channels, {"a", "b"})
        self.assertEqual(self.names(), ["one"])
        self.assertIn("/app as ", repr(self.bell.listener))

    def test_changed(self) -> None:
        """Channels, loops, functions and the interval are changed."""

        def run() -> None:
            """Do nothing."""

        loops = (LoopOptions(name="one"), LoopOptions(name="two", timeout=3.0))
        settings = Settings(channels=("b", "c"), interval=7.0, loop=loops)
        plan = Plan(settings, (Loaded("two", run, (("channels", ("a",)),)),))
        self.assertEqual(self.assembly.settle(plan), Changes(1, 0, 0))
        self.assertEqual(self.bell.channels, {"a", "b", "c"})
        self.assertEqual((self.names(), self.bell.interval), (["one", "two"], 7.0))
        self.assertEqual(self.bell.loops[1].get_processors(), [run])

    def locks(self, assembly: Assembly) -> list[str | None]:
        """Return the locks of its loops."""
        locks = [loop.lock for loop in assembly.bell.status().loops]
        return [None if lock is None else lock.name for lock in locks]

    def test_locks(self) -> None:
        """Each loop has its lock, also the first; a further one may come with one."""
        one, two = LoopOptions(name="one", lock="x"), LoopOptions(name="two")
        settings = Settings(loop=(one, two), lock_interval=0.5, max_loops=3)
        assembly = Assembly(Clock(), Plan(settings), "dbname=app")
        self.assertEqual(self.locks(assembly), ["x", None])
        three = LoopOptions(name="three", lock="y")
        assembly.settle(Plan(replace(settings, loop=(one, two, three))))
        self.assertEqual(self.locks(assembly), ["x", None, "y"])

    def test_lock_changed(self) -> None:
        """A lock that is on a loop stays there; that is told as needing a restart."""
        before = Settings(loop=(LoopOptions(name="one", lock="x"), LoopOptions(name="two")))
        after = replace(
            before,
            loop=(LoopOptions(name="one"), LoopOptions(name="two", lock="y")),
            max_loops=1,
            lock_interval=9.0,
            host="anna",
        )
        assembly = Assembly(Clock(), Plan(before), "dbname=app")
        assembly.settle(Plan(after))
        self.assertEqual(self.locks(assembly), ["x", None])
        self.assertEqual(
            needs_restart(before, after),
            ["lock_interval", "max_loops", "host", "loop one: lock", "loop two: lock"],
        )

    def heard(self) -> frozenset[str]:
        """Return the tables whose changes ring."""
        wal = self.bell.wal
        assert wal is None or isinstance(wal, WalSource)
        return frozenset() if wal is None else frozenset(wal.tables)

    def test_tables(self) -> None:
        """Tables come and go, those of functions too; the second bell is there while any is."""

        def run() -> None:
            """Do nothing."""

        self.assertIsNone(self.bell.wal)
        mine = Loaded("one", run, (("tables", ("mail",)),))
        for tables, functions in ((("a",), ()), (("b",), (mine,)), ((), (mine,)), ((), ())):
            self.assembly.settle(Plan(replace(self.first, tables=tables), functions))
            wanted = {*tables, *("mail" for _ in functions)}
            self.assertEqual({str(table) for table in self.heard()}, wanted)
        self.assertIsNone(self.bell.wal)

    def test_changed_back(self) -> None:
        """They are changed back, but for the loop, which stays without functions."""
        self.test_changed()
        self.assertEqual(self.assembly.settle(Plan(self.first)), Changes(0, 1, 0))
        self.assertEqual(self.bell.channels, {"a", "b"})
        self.assertEqual((self.names(), self.bell.interval), (["one", "two"], 60.0))
        self.assertEqual(self.bell.loops[1].get_processors(), [])

    def test_reading_fails(self) -> None:
        """Whatever goes wrong while a file is read, the doorbell stays as it is, and it is told."""

        def read(path: Path) -> Plan:
            raise ZeroDivisionError

        told: list[str] = []
        reloader = Reloader(Clock(), Path("x"), Plan(self.first), self.assembly, read)
        reloader.before_reload = lambda: told.append("begun")
        reloader.after_reload = lambda: told.append("over")
        before = signal.getsignal(signal.SIGHUP)
        reloader.startService()
        reloader.reload()
        reloader.stopService()
        signal.signal(signal.SIGHUP, before)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(told, ["begun", "over"])
        self.assertEqual(self.bell.channels, {"a", "b"})


class SignalTests(CommandTestCase):
    """A real process, and a real signal."""

    async def start(self, text: str) -> Command:
        """Start a doorbell with a configuration, and wait until it listens."""
        (self.directory / "jobs.py").write_text(
            "def one():\n    print('one ran')\n\ndef two():\n    print('two ran')\n"
        )
        self.write(text)
        command = self.twistd("-n", "doorbell", "--config", "bell.toml")
        await command.prints("is listening")
        return command

    def write(self, text: str) -> None:
        """Write the configuration."""
        dsn = f"{shared_server().dsn} application_name={self.id()[-60:]}"
        (self.directory / "bell.toml").write_text(text + f'[database]\ndsn = "{dsn}"\n')

    def backends(self) -> list[Any]:
        """Return the process ids of the doorbell's listening sessions."""
        sql = "select pid, backend_start from pg_stat_activity where application_name = %s"
        return execute(shared_server().dsn, f"{sql} and query <> ''", (self.id()[-60:],))

    def rings(self, channel: str) -> None:
        """Ring a channel."""
        execute(shared_server().dsn, f"notify {channel}")

    async def count(self, command: Command, text: str, number: int) -> None:
        """Wait until something has been printed so often."""
        await wait_for(f"{number} times {text!r}", lambda: command.out.count(text) >= number)

    async def test_reload(self) -> None:
        """A ring on a new channel runs a new function, on the session that was there before."""
        command = await self.start('channels = ["reload_a"]\n[[function]]\ncall = "jobs:one"\n')
        await self.count(command, "one ran", 1)
        before = self.listening()
        self.write(
            'channels = ["reload_b"]\n[[function]]\ncall = "jobs:two"\n'
            '[[function]]\ncall = "jobs:one"\nchannels = ["reload_a"]\n'
        )
        command.signal("HUP")
        await command.prints("functions: 1 added, 0 removed, 1 changed; channels: reload_b")
        await self.count(command, "two ran", 1)
        await self.rung(command, "reload_b", "two ran")
        await self.rung(command, "reload_a", "one ran")
        self.assertEqual(self.listening(), before)
        self.assertEqual(command.out.count("is listening"), 1)
        self.assertEqual(command.status, None)

    async def rung(self, command: Command, channel: str, text: str) -> None:
        """Ring once, perhaps before LISTEN is committed, and see the function run for it."""
        before = command.out.count(text)
        self.rings(channel)
        await self.count(command, text, before + 1)

    def listening(self) -> list[Any]:
        """Return the one listening session: the oldest."""
        return sorted(self.backends(), key=lambda row: row[1])[:1]

    async def test_broken(self) -> None:
        """A file that can't be used changes nothing; each mistake in it is a line."""
        command = await self.start('channels = ["reload_c"]\n[[function]]\ncall = "jobs:one"\n')
        await self.count(command, "one ran", 1)
        self.write('chanels = ["x"]\n[[function]]\ncall = "jobs:three"\n')
        command.signal("HUP")
        await command.prints("is not used: what it said before stays")
        self.assertIn("line 1: chanels: there is no such key; did you mean channels?", command.out)
        self.assertIn("line 3: function[0].call: jobs:three: module jobs has no", command.out)
        await self.rung(command, "reload_c", "one ran")

    async def test_restart_needed(self) -> None:
        """What can't be changed now is told in one line."""
        text = 'channels = ["reload_d"]\n[[function]]\ncall = "jobs:one"\n'
        command = await self.start(text)
        self.write(text + "[probe]\ninterval = 7\n")
        command.signal("HUP")
        await command.prints("what has changed here needs a restart: probe.interval")

    async def test_stop_channel(self) -> None:
        """A notification on the stop channel ends the process, as if all had gone well."""
        command = await self.start('channels = ["reload_e"]\nstop_channel = "reload_stop"\n')
        self.rings("reload_stop")
        self.assertEqual(await command.ends(), 0, command.out)
        self.assertIn("told to stop by a notification", command.out)
