"""
The programs of ``docs/coming-from.rst``: each written for one of the five systems, and translated.

Both are run beside a real PostgreSQL, and must say the same; where the other system can't be
installed, the translation alone.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.peers import peer
from tests.peers.programs import Program, ProgramTestCase

WRITER = """
import sys
from depeche_store import OrderPlaced, store
print("ready")
for number in map(int, sys.stdin):
    store.write(stream=f"order-{number}", message=OrderPlaced(number=number))
    print("wrote", number)
"""


class PyGreSQLTests(ProgramTestCase):
    """``NotificationHandler``, and what it becomes."""

    async def says(self, name: str) -> None:
        """Notify twice, the second time to stop, and look at what is printed."""
        program = self.program(name)
        await program.prints("listening")
        self.notify("orders", "7 pears")
        self.notify("stop_orders")
        self.assertEqual(await program.ends(), 0, program.output)
        self.assertEqual(program.lines, ["listening", "orders 7 pears", "stop_orders "])

    async def test_before(self) -> None:
        """The program as it was, with the real PyGreSQL."""
        peer("pg")
        await self.says("pygresql_before.py")

    async def test_after(self) -> None:
        """Its translation says the same, and ends at the same word."""
        await self.says("pygresql_after.py")


class PgnotifierTests(ProgramTestCase):
    """``Notifier``, and what it becomes."""

    async def says(self, name: str) -> None:
        """Notify on a muted channel and on one that isn't, and look at what is printed."""
        program = self.program(name)
        await program.prints("listening")
        self.notify("weather", "'rain'")
        self.notify("prices", '{"price": 5}')
        self.notify("prices", '{"price": 0}')
        self.assertEqual(await program.ends(), 0, program.output)
        heard = ["screen prices {'price': 5}", "screen prices {'price': 0}"]
        self.assertEqual(program.lines, ["['prices', 'weather'] True", "listening", *heard])

    async def test_before(self) -> None:
        """The program as it was, with the real pgnotifier."""
        peer("pgnotifier")
        await self.says("pgnotifier_before.py")

    async def test_after(self) -> None:
        """Its translation says the same."""
        await self.says("pgnotifier_after.py")


class DepecheTests(ProgramTestCase):
    """``Executor``, and what it becomes; both with a real message store."""

    async def says(self, start: Callable[[str], Program], name: str, first: int) -> None:
        """Write messages before and after it has begun, and look at what is shipped."""
        writer = Program(self, "-c", WRITER)
        await writer.prints("ready")
        await self.write(writer, first)
        program = start(name)
        await program.prints(f"shipped order {first}\n")
        await self.write(writer, first + 1)
        await self.write(writer, first + 2)
        await program.prints(f"shipped order {first + 2}\n")
        program.terminate()
        await program.ends()
        shipped = [line.partition("shipped")[2] for line in program.lines if "shipped" in line]
        self.assertEqual(shipped, [f" order {first + n}" for n in range(3)])

    async def write(self, writer: Program, number: int) -> None:
        """Write an order to the store, from a process of its own."""
        writer.type(f"{number}\n")
        await writer.prints(f"wrote {number}\n")

    async def test_before(self) -> None:
        """The program as it was, with the real executor."""
        peer("depeche_db")
        await self.says(self.program, "depeche_before.py", 10)

    async def test_after(self) -> None:
        """Its translation handles every message, and leaves signals to twistd."""
        peer("depeche_db")
        await self.says(self.twistd, "depeche_after.tac", 20)


class AsynqueueTests(ProgramTestCase):
    """``TaskQueue``, with a worker of asynqueue's and with a loop."""

    said = ("report on order 1", "report on order 2", "order 3, page 1", "order 3, page 2")

    async def test_before(self) -> None:
        """The program as it was, with asynqueue's own worker."""
        peer("asynqueue")
        program = self.program("asynqueue_before.py")
        self.assertEqual(await program.ends(), 0, program.output)
        self.assertEqual(program.lines, [*self.said])

    async def test_after(self) -> None:
        """Its translation says the same, and does what is notified."""
        peer("asynqueue")
        program = self.program("asynqueue_after.py")
        await program.prints("listening")
        self.notify("orders", "7")
        self.notify("closed")
        self.assertEqual(await program.ends(), 0, program.output)
        self.assertEqual(program.lines, [*self.said, "listening", "report on order 7"])


class BuildbotTests(ProgramTestCase):
    """``buildbot.util.loop`` of 2012, which is no longer published, and what it becomes."""

    async def test_after(self) -> None:
        """The translation runs at the start, once it listens, and for each NOTIFY."""
        program = self.twistd("buildbot_after.tac")
        await program.prints("is listening")
        await program.prints("quiet", 2)
        self.notify("builds")
        await program.prints("quiet", 3)
        self.assertEqual(program.output.count("builds started"), 3)
        program.terminate()
        await program.prints("Server Shut Down")
