"""Functions that are rung by tables, on a Clock: what rings them, and what does not."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.loop import Loop
from txdoorbell.notification import Hearable, Notification
from txdoorbell.wal import OPERATIONS, Table, TableChange, check_tables


def change(table: str, operation: str = "insert", *names: str) -> TableChange:
    """Return the change of a table that was asked for by these names, or by its own."""
    return TableChange(table, operation, check_tables(names or table))


class TableLoopTests(SynchronousTestCase):
    """A loop with functions of which some name tables."""

    def setUp(self) -> None:
        """Make the loop, and start it."""
        self.clock = Clock()
        self.loop = Loop(self.clock)
        self.loop.startService()
        self.addCleanup(self.loop.stopService)
        self.ran: list[str] = []

    def add(self, name: str, **options: Any) -> None:
        """Add a function that notes its name; from now on nothing has run."""
        self.loop.add(lambda: self.ran.append(name), name=name, **options)
        self.turn()
        self.ran.clear()

    def turn(self) -> list[str]:
        """Let the loop run; return what has run since."""
        self.clock.advance(0)
        self.clock.advance(0)
        ran, self.ran = self.ran, []
        return ran

    def test_rung_by_its_tables(self) -> None:
        """A function with tables is rung by changes of these only, one without by all."""
        self.add("jobs", tables="jobs")
        self.add("two", tables=["shop.mail", "jobs"])
        self.add("all")
        self.loop.changed(change("public.jobs", "insert", "jobs"))
        self.assertEqual(self.turn(), ["jobs", "two", "all"])
        self.loop.changed(change("shop.mail"))
        self.assertEqual(self.turn(), ["two", "all"])
        self.loop.notified(Notification("elsewhere"))
        self.assertEqual(self.turn(), ["all"])

    def test_names_of_one_table(self) -> None:
        """Whichever name a function uses, it is rung; once, however many of them match."""
        self.add("short", tables=["jobs"])
        self.add("long", tables=["public.jobs"])
        self.add("both", tables=["JOBS", '"public"."jobs"'])
        rung = self.loop.rung
        self.loop.changed(change("public.jobs", "insert", "jobs", "public.jobs"))
        self.assertEqual(self.turn(), ["short", "long", "both"])
        self.assertEqual(self.loop.rung, rung + 1)

    def test_channel_of_that_name(self) -> None:
        """A NOTIFY on a channel that is called like a table is none of the table's, nor back."""
        self.add("table", tables=["jobs"])
        self.add("channel", channels=["jobs"])
        self.loop.notified(Notification("jobs"))
        self.assertEqual(self.turn(), ["channel"])
        self.loop.changed(change("jobs"))
        self.assertEqual(self.turn(), ["table"])
        self.loop.notified_all("jobs", [Notification("jobs")] * 2)
        self.loop.heard_all()
        self.assertEqual(self.turn(), ["channel"])

    def test_both(self) -> None:
        """With tables and channels, either rings; the loop names both."""
        self.add("both", tables=["jobs"], channels=["mail"])
        self.assertEqual(self.loop.channels, {"mail"})
        self.assertEqual(self.loop.tables, {Table("jobs")})
        self.loop.notified(Notification("mail"))
        self.assertEqual(self.turn(), ["both"])
        self.loop.changed(change("jobs"))
        self.assertEqual(self.turn(), ["both"])

    def test_interested(self) -> None:
        """``interested`` is asked about the change, and ``hint`` told of it, once each."""
        hints: list[Hearable] = []
        asked: list[Hearable] = []

        def inserted(heard: TableChange) -> bool:
            asked.append(heard)
            return heard.operation == "insert"

        self.add("inserts", tables=["jobs", "public.jobs"], interested=inserted, hint=hints.append)
        changes = [change("public.jobs", what, "jobs", "public.jobs") for what in OPERATIONS]
        for each in changes:
            self.loop.changed(each)
        self.assertEqual((asked, hints), (changes, changes[:1]))
        self.assertEqual(self.turn(), ["inserts"])

    def test_missed(self) -> None:
        """Where changes may have been missed, those who name the table are rung."""
        self.add("jobs", tables=["jobs"])
        self.add("mail", tables=["mail"])
        self.loop.missed(check_tables(["mail"]))
        self.assertEqual(self.turn(), ["mail"])

    def test_removed(self) -> None:
        """A function that is removed takes its tables along."""

        def function() -> None:
            """Do nothing."""

        told: list[int] = []
        self.loop.on_channels = lambda: told.append(len(self.loop.tables))
        self.loop.add(function, tables=["jobs"])
        self.loop.remove(function)
        self.assertEqual(told, [1, 0])

    def test_stopped(self) -> None:
        """After a stop nothing is rung."""
        self.add("jobs", tables=["jobs"])
        self.loop.stopService()
        self.turn()
        self.loop.changed(change("jobs"))
        self.assertEqual(self.turn(), [])

    def test_wrong_names(self) -> None:
        """What can't be a table's name is refused, with the name of the function."""
        wrong: list[tuple[type[Exception], Any]] = [
            (ValueError, ["a.b.c"]),
            (ValueError, ["my table"]),
            (ValueError, "x" * 64),
            (TypeError, [7]),
            (TypeError, b"jobs"),
        ]
        for error, tables in wrong:
            with self.assertRaisesRegex(error, "named: "):
                self.loop.add(lambda: None, name="named", tables=tables)


class TableTests(SynchronousTestCase):
    """The names of tables, and their changes, as values."""

    def test_names(self) -> None:
        """A name is what SQL would take it for, and is shown with quotes where SQL needs them."""
        for text, shown in {
            "Jobs": "jobs",
            " shop . Jobs ": "shop.jobs",
            '"Jobs"': '"Jobs"',
            'shop."my ""table"""': 'shop."my ""table"""',
            '"plain"."too"': "plain.too",
        }.items():
            self.assertEqual(str(Table(text)), shown)
            self.assertEqual(Table(shown), Table(text))

    def test_no_channel(self) -> None:
        """A table equals no text of the same letters, in a set or out of it."""
        table = Table("jobs")
        self.assertFalse(table == "jobs" or "jobs" == table)  # noqa: SIM300 - both ways round
        self.assertTrue(table != "jobs")
        self.assertEqual(len({table, "jobs", Table("JOBS")}), 2)
        self.assertEqual(
            (f"{table}", repr(table), sorted([table, "a"])), ("jobs", "table jobs", ["a", table])
        )

    def test_change(self) -> None:
        """A change is heard like a notification: table and operation, from nobody's session."""
        heard = change("public.jobs", "update")
        self.assertEqual((heard.channel, heard.payload, heard.pid), ("public.jobs", "update", 0))
        self.assertEqual(
            (heard.table, heard.operation, heard.data), ("public.jobs", *["update"] * 2)
        )
