"""``txdoorbell sql``: prints, installs, removes, and looks for what is amiss."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from itertools import count
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn
from twisted.trial.unittest import SynchronousTestCase

from tests.commands import Command, CommandTestCase
from tests.servers import execute, shared_server
from tests.waiting import wait_for
from txdoorbell import Doorbell
from txdoorbell.cli import main
from txdoorbell.triggers.lint import Report, judge
from txdoorbell.triggers.ringers import COMPUTED, Function, Trigger, channels_in, ringers

INSERT = "insert into job values (1), (2)"


class SourceTests(SynchronousTestCase):
    """What is understood of a function's source."""

    def test_call(self) -> None:
        """``pg_notify`` with a channel in quotes."""
        for source in (
            "begin perform pg_notify('a', ''); end",
            "SELECT PG_NOTIFY ( 'a' :: text , x)",
            "perform pg_catalog.pg_notify(\n  E'a', 'b');",
        ):
            self.assertEqual(channels_in(source), {"a"}, source)
        self.assertEqual(channels_in("pg_notify('it''s', '')"), {"it's"})

    def test_statement(self) -> None:
        """``NOTIFY`` as a statement, with a name that is folded or quoted."""
        self.assertEqual(
            channels_in("begin Notify Jobs; notify \"Jobs\", 'x'; end"), {"jobs", "Jobs"}
        )
        self.assertEqual(channels_in("execute 'notify jobs'"), {"jobs"})

    def test_computed(self) -> None:
        """A channel that is computed is known to be one, and one that is an argument too."""
        for source in (
            "perform pg_notify(tg_table_name, '')",
            "perform pg_notify('a_' || tg_op, '')",
            "execute format('notify %I', name)",
            "execute 'notify ' || name",
        ):
            self.assertEqual(channels_in(source), {COMPUTED}, source)
        self.assertEqual(channels_in("perform pg_notify(TG_ARGV[1], '')"), {1})
        self.assertEqual(channels_in("triggered_change_notification"), {0})

    def test_nothing(self) -> None:
        """Comments, and texts that only mention it, ring nothing."""
        for source in (
            "-- perform pg_notify('a', '')\nreturn null",
            "/* notify\n a; */ return null",
            "raise notice 'please notify them'",
            "notify_all := true",
        ):
            self.assertEqual(channels_in(source), set(), source)


class RingersTests(SynchronousTestCase):
    """Who rings."""

    def test_tcn(self) -> None:
        """The trigger function of the extension tcn rings the channel it is given, or ``tcn``."""
        source = "triggered_change_notification"
        functions = [Function(1, f"{source}()", source, source, True)]
        triggers = [Trigger("t", "job", True, True, 1, given) for given in ((), ("changes",))]
        found = [ringer.channels for ringer in ringers(functions, triggers)]
        self.assertEqual(found, [("tcn",), ("changes",)])

    def test_indirect(self) -> None:
        """Who calls a function that rings, rings too, over several steps."""
        functions = [
            Function(1, "ring()", "ring", "perform pg_notify('a', '')", False),
            Function(2, "shop.two()", "two", "perform Shop.RING();", False),
            Function(
                3, "three()", "three", 'perform "two"(); perform pg_notify(tg_argv[0],0)', True
            ),
            Function(4, "rings_not()", "rings_not", "perform ringing(); -- ring()", True),
        ]
        triggers = [Trigger(f"t{oid}", "job", True, True, oid, ("b",)) for oid in (3, 4)]
        found = ringers(functions, triggers)
        self.assertEqual(
            [(ringer.title, ringer.channels) for ringer in found],
            [
                ("trigger t3 on job", ("a", "b")),
                ("function ring()", ("a",)),
                ("function shop.two()", ("a",)),
            ],
        )


class JudgeTests(SynchronousTestCase):
    """What is said of it."""

    def judged(self, *listened: str, row: bool = False, enabled: bool = True) -> Report:
        """Judge a trigger that rings ``a``."""
        functions = [Function(1, "f()", "f", "perform pg_notify('a', '')", True)]
        return judge(ringers(functions, [Trigger("t", "job", row, enabled, 1, ())]), listened)

    def test_clean(self) -> None:
        """Nothing is wrong with a trigger for each statement; what a ring costs is a note."""
        report = self.judged("a")
        self.assertEqual(report.warnings, [])
        self.assertEqual(len(report.notes), 1)
        self.assertIn("0.39 times", report.notes[0])

    def test_row(self) -> None:
        """A trigger for each row is warned of, with what to do instead."""
        [warning] = self.judged("a", row=True).warnings
        self.assertIn("trigger t on job rings for each row ('a')", warning)
        self.assertIn("txdoorbell sql job --channel a", warning)

    def test_unheard(self) -> None:
        """What is rung and not listened to, and the other way round; neither without a list."""
        unheard, unrung = self.judged("b").warnings
        self.assertIn("rings 'a', to which nobody listens", unheard)
        self.assertIn("'b' is listened to, but no trigger", unrung)
        report = self.judged()
        self.assertEqual(report.warnings, [])
        self.assertIn("was not given by --channel or --config", report.notes[0])

    def test_disabled(self) -> None:
        """A trigger that is disabled rings nothing."""
        disabled, unrung = self.judged("a", enabled=False).warnings
        self.assertIn("is disabled", disabled)
        self.assertIn("'a' is listened to", unrung)


class UsageTests(SynchronousTestCase):
    """What can be given."""

    def test_usage(self) -> None:
        """Options that don't go together, or can't be, are told in one line."""
        for culprit, *arguments in (
            ("a TABLE is required", "--channel", "jobs"),
            ("one --channel is required", "job"),
            ("it prints", "job", "--channel", "jobs", "--dsn", "dbname=app"),
            (
                "--on says nothing to --remove",
                "job",
                "--channel",
                "a",
                "--remove",
                "--on",
                "insert",
            ),
            ("--lint goes with", "--lint", "--apply"),
            ("--lint goes with", "--lint", "--fleet"),
            ("--fleet goes with", "--fleet", "job"),
            ("--fleet goes with", "--fleet", "--channel", "jobs"),
            ("--fleet goes with", "--fleet", "--payload", "key"),
            ("it prints", "--fleet", "--dsn", "dbname=app"),
            ("--role says nothing to --remove", "--fleet", "--remove", "--role", "app"),
            ("--role is for --fleet", "job", "--channel", "jobs", "--role", "app"),
            ("--lint goes with", "--lint", "--role", "app"),
            ("is no role", "--fleet", "--role", ""),
            ("--config is for", "job", "--channel", "jobs", "--config", "doorbell.toml"),
            ("'upsert' is none of insert,", "job", "--channel", "jobs", "--on", "upsert"),
            ("put in quotes", "my-table", "--channel", "jobs"),
            ("over the limit of 63", "job", "--channel", "x" * 64),
        ):
            err = StringIO()
            with redirect_stderr(err):
                error = self.assertRaises(SystemExit, main, ["sql", *arguments])
            self.assertEqual((error.code, err.getvalue().count("\n")), (2, 1))
            self.assertIn(culprit, err.getvalue())


class SqlTests(CommandTestCase):
    """The command, on a database of its own."""

    names = count()

    def setUp(self) -> None:
        """Make the database, with a table, and listen."""
        super().setUp()
        server, name = shared_server().dsn, f"sqlcommand{next(self.names)}"
        execute(server, f"create database {name}")
        self.addCleanup(execute, server, f"drop database {name} with (force)")
        self.dsn = make_dsn(server, dbname=name)
        execute(self.dsn, "create table job (id int primary key)")
        self.listener = psycopg2.connect(self.dsn)
        self.addCleanup(self.listener.close)
        self.listener.autocommit = True
        self.listener.cursor().execute("listen jobs")

    def heard(self) -> list[str]:
        """Return the payloads heard since the last call."""
        self.listener.cursor().execute("select 1")
        payloads = [heard.payload for heard in self.listener.notifies]
        self.listener.notifies.clear()
        return payloads

    def sql(self, *arguments: str) -> Command:
        """Give the command."""
        return self.txdoorbell("sql", *arguments)

    async def done(self, *arguments: str, status: int = 0) -> str:
        """Give the command with the database, and return what it prints."""
        command = self.sql(*arguments, "--dsn", self.dsn)
        self.assertEqual((await command.ends(), command.err), (status, ""))
        return command.out

    async def test_print(self) -> None:
        """What it prints can be run as it is, and rings; so can the removal."""
        command = self.sql("job", "--channel", "jobs", "--payload", "key", "--when", "id > 1")
        self.assertEqual((await command.ends(), command.err), (0, ""))
        execute(self.dsn, command.out)
        execute(self.dsn, INSERT)
        self.assertEqual(self.heard(), ["[2]"])
        command = self.sql("job", "--channel", "jobs", "--remove")
        self.assertEqual((await command.ends(), command.err), (0, ""))
        execute(self.dsn, command.out)
        execute(self.dsn, "delete from job")
        self.assertEqual(self.heard(), [])

    async def test_apply(self) -> None:
        """It installs and removes, and says in a line what it has done, and where."""
        options = ("job", "--channel", "jobs", "--apply")
        out = await self.done(*options, "--on", "insert", "--payload", "operation")
        self.assertRegex(out, r"^job rings jobs on insert \(127\.0\.0\.1:\d+/sqlcommand.*\)\n$")
        execute(self.dsn, INSERT)
        self.assertIn('"op": "insert"', self.heard()[0])
        self.assertIn("job no longer rings jobs (", await self.done(*options, "--remove"))
        execute(self.dsn, "delete from job")
        self.assertEqual(self.heard(), [])

    async def test_says_no(self) -> None:
        """What the server refuses is one line, with no traceback and no password, and undone."""
        execute(self.dsn, "drop role if exists clerk; create role clerk login")
        self.addCleanup(execute, shared_server().dsn, "drop role clerk")
        clerk = make_dsn(self.dsn, user="clerk", password="geheim")
        options = ("--channel", "jobs", "--apply", "--dsn")
        command = self.sql("job", *options, clerk)
        await self.refused(command, 1, "permission denied for table job")
        self.assertNotIn("geheim", command.err)
        await self.refused(
            self.sql("jobb", *options, self.dsn), 1, 'relation "jobb" does not exist'
        )
        wrong = self.sql("job", "--when", "stat = 1", *options, self.dsn)
        await self.refused(wrong, 1, 'column "stat" does not exist')
        nobody = self.sql("job", *options, "postgresql://me:geheim@127.0.0.1:1/app")
        await self.refused(nobody, 1, "127.0.0.1:1/app as me: Connection refused")
        self.assertEqual(execute(self.dsn, "select from pg_proc where proname ~ '^doorbell'"), [])

    async def test_busy_table(self) -> None:
        """A table that is in use for long is left alone, and those who use it don't wait."""
        self.listener.cursor().execute("begin; lock table job in share mode")
        options = ("job", "--channel", "jobs", "--apply", "--dsn", self.dsn)
        await self.refused(self.sql(*options), 1, "lock timeout")

    async def test_lint(self) -> None:
        """It warns of triggers for each row, with status 1; ours are clean, with status 0."""
        await self.done("job", "--channel", "jobs", "--apply")
        out = await self.done("--lint", "--channel", "jobs")
        self.assertIn("\nno warnings (127.0.0.1:", out)
        execute(
            self.dsn,
            "create function old() returns trigger language plpgsql as"
            " $$ begin perform pg_notify(tg_argv[0], new.id::text); return new; end $$;"
            "create trigger old after insert on job for each row execute function old('mäil');"
            "create procedure ring() begin atomic select pg_notify('atomic', ''); end;",
        )
        out = await self.done("--lint", "--channel", "jobs", "--channel", "calls", status=1)
        self.assertIn("warning: trigger old on job rings for each row ('mäil')", out)
        self.assertIn("warning: trigger old on job rings 'mäil', to which nobody listens", out)
        self.assertIn("warning: function ring() rings 'atomic', to which", out)
        self.assertIn("warning: 'calls' is listened to, but", out)
        self.assertTrue(out.splitlines()[-1].startswith("4 warnings ("), out)

    async def test_lint_configuration(self) -> None:
        """A configuration says what is listened to, and where; one that can't be is told."""
        text = f'channels = ["jobs"]\n[database]\ndsn = "{self.dsn}"\n'
        (self.directory / "doorbell.toml").write_text(text)
        await self.done("job", "--channel", "jobs", "--apply")
        for arguments, status in (((), 0), (("--channel", "mail"), 1)):
            command = self.sql("--lint", "--config", "doorbell.toml", *arguments)
            self.assertEqual((await command.ends(), command.err), (status, ""), command.out)
            self.assertNotIn("'jobs' is listened to", command.out)
        (self.directory / "doorbell.toml").write_text('chanels = ["jobs"]\n')
        await self.refused(self.sql("--lint", "--config", "doorbell.toml"), 1, "chanels")

    async def test_one_run(self) -> None:
        """An insert of 100,000 rows makes a function of a doorbell run once."""
        from twisted.internet import reactor

        runs: list[int] = []
        reactor_time: Any = reactor
        bell = Doorbell(reactor_time, self.dsn, channels=["jobs"], interval=0)
        bell.add(lambda: runs.append(1))
        await self.done("job", "--channel", "jobs", "--apply")
        bell.startService()
        self.addCleanup(bell.stopService)
        await bell.when_listening()
        await wait_for("the runs of the start", lambda: len(runs) > 1 and bell.loop.is_quiet())
        runs.clear()
        execute(self.dsn, "insert into job select generate_series(1, 100000)")
        await wait_for("the run", lambda: runs)
        await bell.ring("jobs", "the next ring, which comes after all others")
        await wait_for("the next run", lambda: len(runs) > 1 and bell.loop.is_quiet())
        self.assertEqual(len(runs), 2)
