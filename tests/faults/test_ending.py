"""The end of a real ``twistd``: in time, whatever its functions and its database do."""

from __future__ import annotations

import time

from tests.commands import Command, CommandTestCase
from tests.faults.case import address, through
from tests.proxy import Proxy
from tests.servers import shared_server

NOBODY = "host=127.0.0.1 port=1"
"""A server that isn't there."""

_TAC = """
import time
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from txdoorbell import Doorbell, Loop
from txdoorbell.process.ending import Ending
from txdoorbell.process.exitstatus import exit_when_resigned

def without_end():
    print("begun", flush=True)
    time.sleep(3600)

def unfired():
    print("begun", flush=True)
    return Deferred(lambda _: None)

def also_due():
    pass

application = Application("app")
loop = Loop(reactor, stop_timeout={stop_timeout})
bell = Doorbell(reactor, "host=127.0.0.1 port=1", loop=loop, interval=3600, {bell})
bell.add({add})
bell.add(also_due)
bell.setServiceParent(application)
for _ in range({threads}):
    reactor.callWhenRunning(reactor.callInThread, time.sleep, 0.05)
exit_when_resigned(reactor, bell)
Ending(reactor, bell, grace={grace}, pidfile="pid").setServiceParent(bell)
"""


class EndingTestCase(CommandTestCase):
    """Tests of one end each: how long it takes, with what status, and what is said."""

    def tac(
        self,
        add: str,
        stop_timeout: float = 60.0,
        grace: float = 60.0,
        bell: str = "",
        threads: int = 0,
    ) -> str:
        """Write an application with one function besides another, and return its file."""
        text = _TAC.format(
            add=add, stop_timeout=stop_timeout, grace=grace, bell=bell, threads=threads
        )
        (self.directory / "app.tac").write_text(text)
        return "app.tac"

    async def begun(self, *arguments: str, prints: str = "begun") -> Command:
        """Return a twistd whose function has begun, or which has printed something else."""
        command = self.twistd("-n", "--pidfile=pid", *arguments)
        await command.prints(prints)
        return command

    async def ends(self, command: Command, *signals: str, within: float) -> int:
        """Send signals, return its exit status; fail when it takes longer than that to end."""
        for name in signals:
            command.signal(name)
            await command.prints(f"SIG{name}")
        began = time.monotonic()
        status = await command.ends(within + 5.0)
        self.assertLess(time.monotonic() - began, within, command.out)
        self.assertFalse((self.directory / "pid").exists())
        return status


class DatabaseTests(EndingTestCase):
    """The database is no reason to wait."""

    async def test_dead(self) -> None:
        """It isn't there: the process ends at once, by the signal, as twistd always does."""
        command = await self.begun("doorbell", "--dsn", NOBODY, prints="is waiting: ")
        self.assertEqual(await self.ends(command, "TERM", within=1.5), -15)
        self.assertNotIn("Traceback", command.out + command.err)

    async def test_half_open(self) -> None:
        """It says nothing any more, to the session, a probe, and a ring that a function sends."""
        dsn = shared_server().dsn
        proxy = Proxy(self, address(dsn))
        place = through(dsn, proxy.port)
        command = await self.begun("doorbell", "--dsn", place, prints="is listening: ")
        proxy.stop_forwarding()
        self.assertEqual(await self.ends(command, "TERM", within=1.5), -15)


class LeftBehindTests(EndingTestCase):
    """A function that never ends is left behind, and said to be."""

    async def test_thread(self) -> None:
        """One in a thread holds up the end for ``stop_timeout``, and the thread for a moment."""
        command = await self.begun("-y", self.tac("without_end, blocking=True", 0.3))
        self.assertEqual(await self.ends(command, "TERM", within=4.5), -15)
        self.assertIn("without_end ignores its cancellation; it is left behind", command.out)
        self.assertIn("a thread of the pool has not ended, and is left behind", command.out)
        self.assertIn("in without_end", command.out)

    async def test_resigned(self) -> None:
        """A process that ends without a signal ends with its own status, thread or not."""
        tac = self.tac("without_end, blocking=True", 0.3, bell="give_up_after=0.3")
        command = await self.begun("-y", tac)
        self.assertEqual(await self.ends(command, within=6.0), 1)
        self.assertIn("resigns", command.out)

    async def test_reactor_blocked(self) -> None:
        """One that blocks the reactor is beyond its reach: a thread ends the process."""
        command = await self.begun("-y", self.tac("without_end", 0.3, grace=0.5))
        self.assertEqual(await self.ends(command, "TERM", within=2.5), 128 + 15)
        self.assertIn("has not ended", command.out)
        self.assertIn("in without_end", command.out)


class HurriedTests(EndingTestCase):
    """Told twice, it waits for nothing any more."""

    async def test_unfired(self) -> None:
        """Whatever is active or due is left undone, one line for each."""
        command = await self.begun("-y", self.tac("unfired, name='patience'"))
        self.assertEqual(await self.ends(command, "TERM", "TERM", within=1.5), -15)
        self.assertIn("loop: patience is left undone", command.out)
        self.assertIn("loop: also_due is left undone", command.out)
        self.assertNotIn("Traceback", command.out + command.err)

    async def test_interrupt(self) -> None:
        """Ctrl-C twice does the same, for the command itself."""
        (self.directory / "jobs.py").write_text(
            "from twisted.internet.defer import Deferred\n"
            "def process():\n    print('begun', flush=True)\n    return Deferred()\n"
        )
        command = await self.begun("doorbell", "--dsn", NOBODY, "--processor", "jobs:process")
        self.assertEqual(await self.ends(command, "INT", "INT", within=1.5), -2)
        self.assertIn("loop: process is left undone", command.out)

    async def test_threads_without_work(self) -> None:
        """Threads that have nothing to do end by themselves, and aren't complained of."""
        command = await self.begun("-y", self.tac("unfired, name='patience'", threads=5))
        self.assertEqual(await self.ends(command, "TERM", "TERM", within=1.5), -15)
        self.assertNotIn("a thread of the pool", command.out)

    async def test_thread(self) -> None:
        """A thread isn't waited for either."""
        command = await self.begun("-y", self.tac("without_end, blocking=True"))
        self.assertEqual(await self.ends(command, "TERM", "TERM", within=2.0), -15)

    async def test_reactor_blocked(self) -> None:
        """Nor is a reactor that is blocked."""
        command = await self.begun("-y", self.tac("without_end"))
        self.assertEqual(await self.ends(command, "TERM", "TERM", within=5.0), 128 + 15)
