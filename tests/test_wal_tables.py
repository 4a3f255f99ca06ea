"""Changes of tables, on a real server: what is heard of whom, and in which words it is refused."""

from __future__ import annotations

from itertools import count
from typing import Any

import psycopg2
import psycopg2.extras
from twisted.trial.unittest import TestCase

from tests.audience import RecordingAudience
from tests.logs import LogMixin
from tests.servers import execute
from tests.waiting import in_time, wait_for
from tests.walservers import drop_database, logical_server, shared_logical_server, slots
from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.notification import State
from txdoorbell.wal import WalSource


class WalTestCase(LogMixin, TestCase):
    """Tests on a database of their own, at a server that they share."""

    numbers = count()

    def setUp(self) -> None:
        """Make the database."""
        self.capture_logs()
        self.admin = shared_logical_server().dsn
        self.database = f"tables{next(self.numbers)}"
        self.dsn = f"{self.admin} dbname={self.database}"
        execute(self.admin, f"create database {self.database}")
        self.addCleanup(drop_database, self.admin, self.database)
        self.sql("create table jobs (id serial primary key, what text)")

    def sql(self, statement: str, *more: str) -> Any:
        """Run statements one by one, as somebody who knows nothing of us; the last one's rows."""
        return [execute(self.dsn, each) for each in (statement, *more)][-1]

    def started(self, *tables: str, **options: Any) -> tuple[WalSource, RecordingAudience]:
        """Return a source that is started, and its audience."""
        from twisted.internet import reactor

        quick = {"backoff": backoff_policy(0.02, 0.1), "query_timeout": 2.0, **options}
        dsn = quick.pop("dsn", self.dsn)
        source, audience = WalSource(reactor, dsn, tables=tables, **quick), RecordingAudience()
        source.report_to(audience)
        source.startService()
        self.addCleanup(self.stop, source)
        return source, audience

    async def stop(self, source: WalSource) -> None:
        """Stop a source, which must not take long."""
        await in_time("the stop", source.stopService(), 1.0)

    async def listening(self, *tables: str, **options: Any) -> tuple[WalSource, RecordingAudience]:
        """Return a source that hears of these tables, and its audience."""
        source, audience = self.started(*tables, **options)
        await in_time("the log to be read", source.when_listening())
        return source, audience

    async def hears(self, audience: RecordingAudience, *expected: tuple[str, str]) -> None:
        """Wait until so much is heard, and fail unless it is this."""
        await wait_for(f"{expected}", lambda: len(audience.heard) >= len(expected))
        self.assertEqual([(table, what) for table, what, _ in audience.heard], [*expected])
        audience.heard.clear()

    async def refused(self, *tables: str, **options: Any) -> str:
        """Return why a source can't read of these tables."""
        source, _ = self.started(*tables, **options)
        await wait_for("the refusal", lambda: source.state is State.WAITING)
        return source.reason


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
        source, audience = await self.listening("jobs")
        source.set_tables(["jobs", "mail"])
        await wait_for("the warning", lambda: "there is no table mail" in str(self.logged_texts()))
        self.sql("insert into jobs (what) values ('x')")
        await self.hears(audience, ("public.jobs", "insert"))
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


class RefusalTests(WalTestCase):
    """What can't be: in one line, with the culprit and what to run."""

    async def test_missing(self) -> None:
        """A table that isn't there is named, and heard of once it is."""
        source, audience = self.started("shop.jobs", "other")
        await wait_for("the refusal", lambda: source.state is State.WAITING)
        self.assertRegex(source.reason, "there is no table other in the search_path")
        self.sql("create table other ()", "create schema shop", "create table shop.jobs ()")
        await in_time("the table", source.when_listening())
        self.assertEqual(audience.listens, [(source.tables, True)])

    async def test_no_table(self) -> None:
        """What isn't a table, or whose changes aren't in the log, is called what it is."""
        self.sql(
            "create view v as select 1",
            "create sequence s",
            "create unlogged table u ()",
            "create materialized view m as select 1",
        )
        for name, words in {
            "v": "public.v is a view: only tables",
            "s": "public.s is a sequence: only tables",
            "u": "public.u is unlogged: its changes are not in the log",
            "m": "public.m is a materialized view",
            "pg_catalog.pg_class": "pg_catalog.pg_class is a table of the system",
        }.items():
            self.assertIn(words, await self.refused(name))

    async def test_not_replicating(self) -> None:
        """A role without REPLICATION is told the statement that gives it that."""
        self.sql("create role plain login", "alter table jobs owner to plain")
        self.addCleanup(self.sql, "drop owned by plain", "drop role plain")
        self.sql(f"grant create on database {self.database} to plain")
        reason = await self.refused("jobs", dsn=f"{self.dsn} user=plain")
        self.assertIn('ALTER ROLE "plain" REPLICATION', reason)

    async def test_not_ours_to_publish(self) -> None:
        """A role that may not publish is told what to have run, and reads once that has been."""
        self.sql("create role reader login replication")
        self.addCleanup(self.sql, "drop owned by reader", "drop role reader")
        source, _ = self.started("jobs", dsn=f"{self.dsn} user=reader")
        statement = 'CREATE PUBLICATION "txdoorbell" FOR TABLE "public"."jobs"'
        await wait_for("the refusal", lambda: statement in source.reason)
        self.assertIn("role reader: have who owns it run", source.reason)
        self.sql("create table more (id int primary key)", source.reason.partition("run ")[2])
        await in_time("the log to be read", source.when_listening())
        source.set_tables(["jobs", "more"])
        await wait_for("the refusal", lambda: "ADD TABLE" in str(self.logged_texts()))
        self.sql('alter publication "txdoorbell" add table more')
        await in_time("the table", source.when_listening())

    async def test_made_by_two_at_once(self) -> None:
        """Hosts that start at once make one publication, with what each of them asked for."""
        names = [f"t{number}" for number in range(6)]
        self.sql(*(f"create table {name} (id int primary key)" for name in names))
        sources = [self.started(name, "jobs")[0] for name in names]
        for source in sources:
            await in_time("the log to be read", source.when_listening())
        rows = self.sql("select tablename::text from pg_publication_tables order by 1")
        self.assertEqual([name for (name,) in rows], ["jobs", *names])


class WriterTests(WalTestCase):
    """Whoever writes notices nothing of us."""

    async def test_no_primary_key(self) -> None:
        """A table without a primary key can be updated as before, which rings nothing."""
        self.sql("create table bare (id int)", "insert into bare values (1)")
        _, audience = await self.listening("bare", "jobs")
        self.sql(
            "insert into bare values (2)",
            "update bare set id = 3",
            "delete from bare",
            "truncate bare",
        )
        await self.hears(audience, ("public.bare", "insert"), ("public.bare", "truncate"))
        [text] = [text for text in self.logged_texts() if "no primary key" in text]
        self.assertIn("public.bare has no primary key", text)
        self.assertIn('ALTER TABLE "public"."bare" REPLICA IDENTITY FULL', text)

    async def test_part_without_identity(self) -> None:
        """One partition without a replica identity is enough to publish no updates."""
        self.sql(
            "create table log (at int primary key) partition by range (at)",
            "create table log1 partition of log for values from (0) to (10)",
            "alter table log1 replica identity nothing",
            "create table logs (at int) partition by range (at)",
            "create table logs1 partition of logs for values from (0) to (10)",
            "alter table logs1 replica identity full",
            "create table heir (note text) inherits (jobs)",
        )
        _, audience = await self.listening("log", "logs", "jobs")
        self.sql(
            "create table logs2 partition of logs for values from (10) to (20)",
            "insert into log values (1)",
            "update log set at = 2",
            "insert into logs values (1), (11)",
            "update logs set at = at + 1",
            "insert into heir values (1, 'x')",
            "update jobs set what = 'y'",
        )
        tables = "log", "logs", "jobs"
        await self.hears(audience, *((f"public.{table}", "insert") for table in tables))

    async def test_primary_key_dropped(self) -> None:
        """Once a primary key is dropped, updates fail until the next probe moves the table."""
        source, audience = await self.listening("jobs")
        await in_time("a probe", source.probe())
        self.sql(
            "insert into jobs (what) values ('x')", "alter table jobs drop constraint jobs_pkey"
        )
        with self.assertRaises(psycopg2.Error):
            self.sql("update jobs set what = 'y'")
        source.probe().addErrback(lambda _: None)
        await wait_for("the new session", lambda: len(audience.listens) > 1)
        self.sql("update jobs set what = 'y'", "insert into jobs (what) values ('z')")
        await self.hears(audience, *[("public.jobs", "insert")] * 2)

    async def test_publication_of_all(self) -> None:
        """A publication of all tables is left as it is, and what it does to writers is said."""
        self.sql("create table bare (id int)", "create publication txdoorbell for all tables")
        _, audience = await self.listening("bare", "jobs")
        self.sql("insert into jobs (what) values ('x')", "insert into bare values (1)")
        await self.hears(audience, ("public.jobs", "insert"), ("public.bare", "insert"))
        self.assertIn("PostgreSQL refuses them, whoever makes them", str(self.logged_texts()))

    async def test_own_publication(self) -> None:
        """A publication that was made by hand, of inserts and by partition, is mended as needed."""
        self.sql(
            "create table log (at int primary key) partition by range (at)",
            "create table log1 partition of log for values from (0) to (10)",
            "create table bare (id int)",
            "create publication mine for table log, bare with (publish = 'insert')",
        )
        _, audience = await self.listening("log", "bare", publication="mine")
        self.sql("insert into log values (1)", "insert into bare values (1)")
        await self.hears(audience, ("public.log", "insert"), ("public.bare", "insert"))
        self.assertIn("does not publish update, delete, truncate", str(self.logged_texts()))

    async def test_not_seen_yet(self) -> None:
        """
        A commit that waits for a standby is in the log, and is heard when others see it.

        Whoever looked before that would find nothing.
        """
        server = logical_server(self)
        self.dsn = server.dsn
        self.sql("create table jobs (id int primary key)")
        source, audience = await self.listening("jobs")
        self.sql("alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
        connection = psycopg2.connect(self.dsn, async_=True)
        psycopg2.extras.wait_select(connection)
        cursor = connection.cursor()
        cursor.execute("insert into jobs values (1)")
        await wait_for(
            "the commit to wait",
            lambda: (
                connection.poll() is not None
                and self.sql("select 1 from pg_stat_activity where wait_event = 'SyncRep'")
            ),
        )
        await in_time("a probe from elsewhere", source.probe())
        self.assertEqual(audience.heard, [])
        self.sql("alter system reset synchronous_standby_names", "select pg_reload_conf()")
        await self.hears(audience, ("public.jobs", "insert"))
        connection.close()
