"""Changes of tables, on a real server: what is heard of whom."""

from __future__ import annotations

import psycopg2
import psycopg2.extras

from tests.servers import execute
from tests.waiting import in_time, wait_for
from tests.walservers import drop_database, slots
from tests.waltables import WalTestCase
from txdoorbell.notification import State


class HearingTests(WalTestCase):
    """What is heard of the tables that were asked for."""

    async def test_operations(self) -> None:
        """Insert, update, delete and truncate are each heard, once per transaction."""
        _, audience = await self.listening("jobs")
        self.sql(
            "insert into jobs (what) select 'x' from generate_series(1, 1000)",
            "update jobs set what = 'y'",
            "delete from jobs where id < 10",
            "truncate jobs",
        )
        operations = "insert", "update", "delete", "truncate"
        await self.hears(audience, *(("public.jobs", what) for what in operations))

    async def test_one_transaction(self) -> None:
        """A transaction is heard when it is committed: each table and operation once, in order."""
        self.sql("create table mail (id int primary key)")
        _, audience = await self.listening("jobs", "mail")
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            for _ in range(3):
                cursor.execute("insert into jobs (what) values ('x')")
                cursor.execute("insert into mail select coalesce(max(id), 0) + 1 from mail")
                cursor.execute("update jobs set what = 'y'")
            self.assertEqual(audience.heard, [])
            connection.commit()
        connection.close()
        expected = ("public.jobs", "insert"), ("public.mail", "insert"), ("public.jobs", "update")
        await self.hears(audience, *expected)

    async def test_rolled_back(self) -> None:
        """What was rolled back is not heard, nor what was done to other tables."""
        self.sql("create table mail (id int primary key)")
        _, audience = await self.listening("jobs")
        connection = psycopg2.connect(self.dsn)
        with connection.cursor() as cursor:
            cursor.execute("insert into jobs (what) values ('x')")
        connection.rollback()
        connection.close()
        self.sql("insert into mail values (1)", "delete from jobs", "truncate jobs")
        await self.hears(audience, ("public.jobs", "truncate"))

    async def test_million_rows(self) -> None:
        """A transaction of very many rows is one ring, and holds up nobody else's turn for long."""
        source, audience = await self.listening("jobs")
        self.sql("insert into jobs (what) select 'x' from generate_series(1, 300000)")
        await self.hears(audience, ("public.jobs", "insert"))
        await in_time("a probe", source.probe())

    async def test_many_transactions(self) -> None:
        """However many there are, each message is heard, and the changes at most as often."""
        source, audience = await self.listening("jobs")
        source.set_channels(["news"])
        await in_time("the channel", source.when_listening())
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(200):
                cursor.execute("insert into jobs (what) values ('x')")
                cursor.execute("select pg_logical_emit_message(true, 'txdoorbell:news', 'same')")
        connection.close()
        messages = lambda: [heard for heard in audience.heard if heard[0] == "news"]  # noqa: E731
        await wait_for("all messages", lambda: len(messages()) == 200)
        self.assertIn(("public.jobs", "insert", 0), audience.heard)
        self.assertLessEqual(len(audience.heard), 400)

    async def test_names(self) -> None:
        """A name is read as SQL reads it: quoted, with a schema, or by the search path."""
        self.sql(
            'create schema "My Shop"',
            'create table "My Shop"."Job" (id int primary key)',
            'create table "My Shop".jobs (id int primary key)',
            f'alter database {self.database} set search_path = "My Shop", public',
        )
        _, audience = await self.listening('"My Shop"."Job"', "JOBS", "Public.Jobs")
        self.sql('insert into "My Shop"."Job" values (1)', 'insert into "My Shop".jobs values (1)')
        await self.hears(audience, ('"My Shop"."Job"', "insert"), ('"My Shop".jobs', "insert"))
        self.sql("insert into public.jobs (what) values ('x')")
        await self.hears(audience, ("public.jobs", "insert"))

    async def test_channel_called_like_a_table(self) -> None:
        """A message to a channel that is called like a table is no change of it, nor vice versa."""
        source, audience = await self.listening("public.jobs")
        source.set_channels(["jobs"])
        await in_time("the channel", source.when_listening())
        await in_time("the message", source.notify("public.jobs", "not heard"))
        await in_time("the message", source.notify("jobs", "heard"))
        self.sql("insert into jobs (what) values ('x')")
        await self.hears(audience, ("jobs", "heard"), ("public.jobs", "insert"))

    async def test_partitions(self) -> None:
        """A partitioned table is all of its partitions, those made later too; so is a part one."""
        self.sql(
            "create table log (at int primary key) partition by range (at)",
            "create table log1 partition of log for values from (0) to (10)",
        )
        _, audience = await self.listening("log", "log1")
        self.sql("insert into log values (1)")
        await self.hears(audience, ("public.log", "insert"), ("public.log1", "insert"))
        self.sql(
            "create table log2 partition of log for values from (10) to (20)",
            "insert into log2 values (11)",
        )
        await wait_for("the ring", lambda: audience.heard)
        self.assertIn(("public.log", "insert", 0), audience.heard)

    async def test_heirs(self) -> None:
        """A table that others inherit from is rung by their changes as well."""
        self.sql("create table heir (primary key (id)) inherits (jobs)")
        _, audience = await self.listening("jobs")
        self.sql("insert into heir values (1, 'x')")
        await self.hears(audience, ("public.jobs", "insert"))
        self.sql("insert into jobs values (2, 'y')")
        await self.hears(audience, ("public.jobs", "insert"))

    async def test_changed_tables(self) -> None:
        """Other tables are wanted later: they are published, on the same session, and heard."""
        self.sql("create table mail (id int primary key)")
        source, audience = await self.listening("jobs")
        source.set_tables(["mail"])
        await in_time("the table", source.when_listening())
        self.assertEqual(audience.listens[1:], [(source.tables, False)])
        self.sql("insert into jobs (what) values ('x')", "insert into mail values (1)")
        await self.hears(audience, ("public.mail", "insert"))
        self.assertEqual(audience.states, [State.CONNECTING, State.LISTENING])

    async def test_open_when_published(self) -> None:
        """What an open transaction did before a table was published is caught up on at its end."""
        source, audience = await self.listening()
        connection = psycopg2.connect(self.dsn)
        with connection.cursor() as cursor:
            cursor.execute("insert into jobs (what) values ('x')")
            source.set_tables(["jobs"])
            await in_time("the table", source.when_listening())
            audience.listens.clear()
            connection.commit()
        connection.close()
        await wait_for("the catch-up", lambda: audience.listens)
        self.assertEqual(audience.listens, [(source.tables, False)])

    async def test_later_table_missing(self) -> None:
        """One that is wanted later and isn't there: the log says so, the others are heard on."""
        waits: list[int] = []

        def backoff(failures: int) -> float:
            waits.append(failures)
            return 0.02

        source, audience = await self.listening("jobs", backoff=backoff)
        source.set_tables(["jobs", "mail"])
        await wait_for("the warning", lambda: "there is no table mail" in str(self.logged_texts()))
        self.sql("insert into jobs (what) values ('x')")
        await self.hears(audience, ("public.jobs", "insert"))
        await wait_for("further attempts", lambda: len(waits) > 3)
        self.assertEqual(str(self.logged_texts()).count("there is no table mail"), 1)
        self.sql("create table mail (id int primary key)")
        await in_time("the table", source.when_listening())
        self.sql("insert into mail values (1)")
        await self.hears(audience, ("public.mail", "insert"))

    async def test_made_anew(self) -> None:
        """A table that was dropped and made anew is published again, by the next probe."""
        source, audience = await self.listening("jobs")
        await in_time("a probe", source.probe())
        self.sql("drop table jobs", "create table jobs (id int primary key)")
        await in_time("a probe", source.probe())
        self.assertEqual(audience.listens[1:], [(source.tables, False)])
        self.sql("insert into jobs values (1)")
        await self.hears(audience, ("public.jobs", "insert"))

    async def test_streaming(self) -> None:
        """Large transactions may be sent while they are open: they are heard once, if committed."""
        self.sql("alter system set logical_decoding_work_mem = '64kB'", "select pg_reload_conf()")
        _, audience = await self.listening("jobs", streaming=True)
        connection = psycopg2.connect(self.dsn)
        with connection.cursor() as cursor:
            for end in (connection.rollback, connection.commit):
                cursor.execute("insert into jobs (what) select 'x' from generate_series(1, 9000)")
                end()
        connection.close()
        await self.hears(audience, ("public.jobs", "insert"))

    async def test_retained(self) -> None:
        """How much of the log is kept for it is known, and stays small while it is read."""
        source, _ = await self.listening("jobs")
        await in_time("a probe", source.probe())
        self.assertIsInstance(source.retained_bytes, int)
        [name] = slots(self.dsn)
        self.assertRegex(name, r"\Atxdoorbell_[0-9a-f]{16}\Z")


class OtherEncodingTests(WalTestCase):
    """A database that isn't in UTF-8."""

    async def test_latin(self) -> None:
        """Payloads, channels and tables are text as they were written."""
        execute(self.admin, "drop database if exists latin")
        execute(
            self.admin,
            "create database latin template template0 encoding 'LATIN1' locale 'C'",
        )
        self.addCleanup(drop_database, self.admin, "latin")
        self.dsn = f"{self.admin} dbname=latin"
        self.sql('create table "Käse" (id int primary key)')
        source, audience = await self.listening('"Käse"')
        source.set_channels(["é"])
        await in_time("the channel", source.when_listening())
        self.sql(
            "select pg_logical_emit_message(true, 'txdoorbell:é', 'ü')",
            'insert into "Käse" values (1)',
        )
        await self.hears(audience, ("é", "ü"), ('public."Käse"', "insert"))
