"""What stands in the way of the log: in which words it is refused, and what is mended."""

from __future__ import annotations

import psycopg2
import psycopg2.extras

from tests.waiting import in_time, wait_for
from tests.walservers import logical_server
from tests.waltables import WalTestCase
from txdoorbell.listening.session import Session
from txdoorbell.notification import State
from txdoorbell.walreading import publisher
from txdoorbell.walreading.catalog import Facts, ask_facts


class OldServerTests(WalTestCase):
    """PostgreSQL 13, whose log tells of no messages: here, a server that says it is one."""

    def setUp(self) -> None:
        """Have the catalog say so."""
        super().setUp()
        self.version(130014)

    def version(self, number: int) -> None:
        """Have the server say that it is of this version."""

        async def facts(session: Session, within: float) -> Facts:
            return (await ask_facts(session, within))._replace(version=number)

        self.patch(publisher, "ask_facts", facts)

    async def test_changes(self) -> None:
        """Changes are heard, messages are not."""
        source, audience = await self.listening("jobs", channels=["news"], streaming=True)
        await in_time("the message", source.notify("news"))
        self.sql("insert into jobs (what) values ('x')")
        await self.hears(audience, ("public.jobs", "insert"))

    async def test_probes(self) -> None:
        """Its probe is a word from the server; tables that are made anew are published by it."""
        source, audience = await self.listening("jobs", probe_interval=0.05)
        self.assertGreater(await in_time("a probe", source.probe()), 0.0)
        self.sql("drop table jobs", "create table jobs (id int primary key)")
        await wait_for("the table", lambda: len(audience.listens) > 1)
        self.sql("insert into jobs values (1)")
        await self.hears(audience, ("public.jobs", "insert"))
        assert source.probe_latency is not None
        self.assertIs(source.state, State.LISTENING)

    async def test_too_old(self) -> None:
        """One that is older is refused."""
        self.version(120022)
        reason = await self.refused("jobs")
        self.assertEqual(reason, "PostgreSQL 13 or later is needed, this is 12")


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

    async def test_lacks_all(self) -> None:
        """A role that may neither publish nor read is told both statements at once."""
        self.sql("create role stranger login")
        self.addCleanup(self.sql, "drop role stranger")
        reason = await self.refused("jobs", dsn=f"{self.dsn} user=stranger")
        self.assertIn('CREATE PUBLICATION "txdoorbell" FOR TABLE "public"."jobs"', reason)
        self.assertIn('ALTER ROLE "stranger" REPLICATION', reason)

    async def test_replicating_on_rds(self) -> None:
        """Where a role gives that privilege, its members aren't told to ask for it."""
        self.sql("create role rds_replication", "create role amazon login in role rds_replication")
        self.addCleanup(self.sql, "drop role amazon", "drop role rds_replication")
        reason = await self.refused("jobs", dsn=f"{self.dsn} user=amazon")
        self.assertNotIn("REPLICATION", reason)

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
