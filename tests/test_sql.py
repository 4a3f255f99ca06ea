"""Trigger SQL for tables: what it says, and what it does on real servers."""

from __future__ import annotations

import atexit
import json
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection, make_dsn
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.folders import new_folder
from tests.servers import QUICK, execute, shared_server
from txdoorbell.embedded import PostgresServer
from txdoorbell.sql import check_events, remove_sql, trigger_sql
from txdoorbell.triggers.names import literal, parse_schema, parse_table

OLD = Path("/usr/lib/postgresql/15/bin")


@cache
def old_server() -> PostgresServer:
    """Return a server of the system's version, running; one for all tests."""
    if not OLD.is_dir():
        raise SkipTest(f"there is no PostgreSQL in {OLD}")
    server = PostgresServer(new_folder(), binaries=OLD, tcp=True, settings=QUICK)
    atexit.register(server.stop, "immediate")
    server.start()
    return server


@cache
def new_database(server: PostgresServer) -> str:
    """Make the database of these tests, one for each server."""
    execute(server.dsn, "create database sql")
    return make_dsn(server.dsn, dbname="sql")


def database(server: PostgresServer) -> str:
    """Return it, empty."""
    dsn = new_database(server)
    schemas = "select quote_ident(nspname) from pg_namespace where nspname !~ '^(pg_|information_)'"
    dropped = ", ".join(name for (name,) in execute(dsn, schemas))
    execute(dsn, f"drop schema {dropped} cascade; create schema public")
    execute(dsn, "grant usage on schema public to public")
    return dsn


class NameTests(SynchronousTestCase):
    """How names are read."""

    def test_read(self) -> None:
        """As in SQL: folded to lower case, unless in quotes."""
        self.assertEqual(parse_table("Job"), (None, "job"))
        self.assertEqual(parse_table("Shop.Jöb_1"), ("shop", "jöb_1"))
        self.assertEqual(parse_table(' "My ""Shop""" . "Job.1" '), ('My "Shop"', "Job.1"))
        self.assertEqual(str(parse_table('"a""b".c')), '"a""b"."c"')

    def test_no_name(self) -> None:
        """What is no name in SQL is refused, and quotes are proposed."""
        for text in ("", "my-table", "a.b.c", "1st", 'a"b', '"', '""', "job; drop table job"):
            with self.assertRaisesRegex(ValueError, "put in quotes"):
                parse_table(text)
        self.assertRaises(TypeError, parse_table, 7)
        self.assertRaises(ValueError, parse_schema, "a.b")

    def test_long(self) -> None:
        """A name that PostgreSQL would cut is refused."""
        parse_table("x" * 63)
        with self.assertRaisesRegex(ValueError, "64 bytes"):
            parse_table("ä" * 32)

    def test_literal(self) -> None:
        """A text with backslashes is safe with any setting of the server."""
        self.assertEqual(literal("it's"), "'it''s'")
        self.assertEqual(literal("\\'"), "E'\\\\'''")

    def test_events(self) -> None:
        """Events are given with commas, or as a list."""
        self.assertEqual(check_events("update, INSERT"), ("insert", "update"))
        self.assertEqual(check_events(["delete", "delete"]), ("delete",))
        wrong: str | list[str]
        for wrong in ("upsert", "", []):
            self.assertRaises(ValueError, check_events, wrong)

    def test_arguments(self) -> None:
        """What can't be is refused before there is any SQL."""
        self.assertRaises(ValueError, trigger_sql, "job", "x" * 64)
        self.assertRaises(ValueError, trigger_sql, "job", "jobs", payload="row")
        self.assertRaises(ValueError, trigger_sql, "job", "jobs", limit=0)
        self.assertRaises(ValueError, trigger_sql, "job", "jobs", when="\0")

    def test_stable(self) -> None:
        """The same arguments come to the same SQL; another channel, to other names."""
        self.assertEqual(trigger_sql("job", "jobs"), trigger_sql("JOB", "jobs"))
        self.assertNotEqual(remove_sql("job", "jobs"), remove_sql("job", "Jobs"))


class NewServerTests(SynchronousTestCase):
    """What the triggers do."""

    def server(self) -> PostgresServer:
        """Return the server."""
        return shared_server()

    def setUp(self) -> None:
        """Take a database, empty but for a table, and listen."""
        self.dsn = database(self.server())
        self.listener = self.connect()
        self.writer = self.connect()
        self.run_sql("create table job (id bigint primary key, state text default 'new')")

    def connect(self) -> connection:
        """Return a session."""
        session = psycopg2.connect(self.dsn)
        self.addCleanup(session.close)
        session.autocommit = True
        return session

    def run_sql(self, sql: str) -> None:
        """Run statements, as a writer to the table does."""
        self.writer.cursor().execute(sql)

    def query(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        return execute(self.dsn, sql)

    def install(self, table: str = "job", channel: str = "jobs", **options: Any) -> None:
        """Install a trigger, and listen."""
        self.run_sql(trigger_sql(table, channel, **options))
        quoted = channel.replace('"', '""')
        self.listener.cursor().execute(f'listen "{quoted}"')

    def rings(self, sql: str) -> list[str]:
        """Run statements, and return the payloads that were heard."""
        self.run_sql(sql)
        self.listener.cursor().execute("select 1")
        payloads = [heard.payload for heard in self.listener.notifies]
        self.listener.notifies.clear()
        return payloads

    def leftovers(self) -> list[Any]:
        """Return the triggers and functions that are there."""
        own = "pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')"
        return self.query(
            "select tgname::text from pg_trigger where not tgisinternal"
            f" union all select proname::text from pg_proc where {own}"
        )

    def test_bulk_insert(self) -> None:
        """An insert of 100,000 rows is one ring."""
        self.install()
        self.assertEqual(self.rings("insert into job select generate_series(1, 100000)"), [""])

    def test_events(self) -> None:
        """Each kind of statement rings."""
        self.install()
        for sql in (
            "insert into job values (1)",
            "update job set state = 'ready'",
            "delete from job",
            "truncate job",
        ):
            self.assertEqual(self.rings(sql), [""], sql)

    def test_some_events(self) -> None:
        """Only what was asked for rings."""
        self.install(on="insert,truncate")
        self.assertEqual(self.rings("insert into job values (1)"), [""])
        self.assertEqual(self.rings("update job set state = 'ready'; delete from job"), [])
        self.assertEqual(self.rings("truncate job"), [""])

    def test_no_row(self) -> None:
        """A statement that changes no row does not ring: nobody rings himself by looking."""
        self.install()
        self.assertEqual(self.rings("update job set state = 'taken'; delete from job"), [])
        self.assertEqual(self.rings("insert into job select 1 where false"), [])

    def test_transaction(self) -> None:
        """The server merges the rings of one transaction, and one rolled back rings nothing."""
        self.install()
        inserts = "insert into job values (1); insert into job values (2)"
        self.assertEqual(self.rings(f"begin; {inserts}; commit"), [""])
        self.assertEqual(self.rings("begin; insert into job values (3); rollback"), [])

    def test_upsert(self) -> None:
        """An upsert rings for what it does."""
        self.install(payload="operation")
        upsert = "insert into job values (1) on conflict (id) do update set state = 'again'"
        for operation in ("insert", "update"):
            heard = [json.loads(payload)["op"] for payload in self.rings(upsert)]
            self.assertEqual(heard, [operation])

    def test_condition(self) -> None:
        """It rings when one of the rows meets the condition, whatever its text has in it."""
        self.install(when="state = 'ready' /* $doorbell$ $rows$ 100% */ -- ready")
        self.assertEqual(self.rings("insert into job values (1), (2)"), [])
        self.assertEqual(self.rings("update job set state = 'ready' where id = 2"), [""])
        self.assertEqual(self.rings("delete from job where id = 1"), [])
        self.assertEqual(self.rings("delete from job"), [""])
        self.assertEqual(self.rings("truncate job"), [""])

    def test_condition_on_old_rows(self) -> None:
        """An update can be asked what it has changed."""
        change = (
            "exists (select from old_rows as o where o.id = new_rows.id and o.state <> 'ready')"
        )
        self.install(on="update", when=f"state = 'ready' and {change}")
        self.run_sql("insert into job values (1)")
        self.assertEqual(self.rings("update job set state = 'ready'"), [""])
        self.assertEqual(self.rings("update job set state = 'ready'"), [])

    def test_condition_on_odd_columns(self) -> None:
        """Columns may be called as the function's own variables are."""
        self.run_sql("alter table job add rings int, add keys int, add message int, add key int")
        self.install(when="rings = 1 and keys = 1 and message = 1 and key = 1", payload="key")
        self.assertEqual(self.rings("insert into job values (7, '', 1, 1, 1, 1)"), ["[7]"])

    def test_search_path(self) -> None:
        """A condition means the same to all writers, whatever their search path."""
        self.run_sql("create function good(text) returns bool language sql as 'select $1 = ''x'''")
        self.install(when="good(state)")
        self.run_sql("set search_path = pg_catalog")
        self.assertEqual(self.rings("insert into public.job values (1, 'x')"), [""])

    def test_wrong_condition(self) -> None:
        """A condition that can't be is refused at once, not when somebody writes."""
        for wrong in ("stat = 'ready'", "state = ", "true) or (", "new.state = 'ready'", "id"):
            self.assertRaises(psycopg2.Error, self.install, when=wrong)
        self.assertRaises(psycopg2.Error, self.install, on="insert", when="id in (table old_rows)")
        self.assertEqual(self.leftovers(), [])

    def test_keys(self) -> None:
        """A payload of keys has those of the rows that count."""
        self.install(payload="key", when="state = 'ready'")
        sql = "insert into job values (1, 'ready'), (2, 'new'), (3, 'ready')"
        self.assertEqual(self.rings(sql), ["[1, 3]"])
        self.assertEqual(self.rings("update job set state = 'ready' where id = 2"), ["[2]"])
        self.assertEqual(self.rings("delete from job where id < 3"), ["[1, 2]"])
        self.assertEqual(self.rings("update job set id = 8"), ["[8]"])
        self.assertEqual(self.rings("update job set state = 'no'; truncate job"), [""])

    def test_many_keys(self) -> None:
        """Too many keys, or too long ones, and the payload is empty."""
        self.install(payload="key", limit=3)
        self.assertEqual(self.rings("insert into job values (1), (2), (3)"), ["[1, 2, 3]"])
        self.assertEqual(self.rings("update job set id = id + 10"), ["[11, 12, 13]"])
        self.assertEqual(self.rings("insert into job values (4), (5), (6), (7)"), [""])
        self.run_sql("create table page (name text primary key)")
        self.install("page", "jobs", payload="key")
        for length in (7995, 7996):
            name = "x" * 5 + "ä" * ((length - 5) // 2) + "y" * ((length - 5) % 2)
            sql = f"insert into page values ('{name}')"
            self.assertEqual(self.rings(sql), [f'["{name}"]'] if length == 7995 else [""])

    def test_composite_key(self) -> None:
        """A key of several columns is an object, in the order of the key."""
        self.run_sql(
            'create table line (note text, "No." int, "order" uuid, primary key ("order", "No."))'
        )
        self.install("line", "jobs", payload="key")
        order = "00000000-0000-0000-0000-000000000001"
        [heard] = self.rings(f"insert into line values ('', 1, '{order}')")
        self.assertEqual(json.loads(heard), [{"order": order, "No.": 1}])

    def test_no_key(self) -> None:
        """A table without a primary key is refused when keys are wanted."""
        self.run_sql("create table log (line text)")
        error = self.assertRaises(psycopg2.Error, self.install, "log", "jobs", payload="key")
        self.assertIn('table "log" has no primary key', str(error))
        self.install("log", "jobs")
        self.assertEqual(self.rings("insert into log values ('')"), [""])

    def test_operation(self) -> None:
        """A payload of the operation names the table and what was done."""
        self.run_sql('create schema "My Shop"; create table "My Shop"."Job" (id int)')
        self.install('"My Shop"."Job"', "jobs", payload="operation")
        [heard] = self.rings('insert into "My Shop"."Job" values (1)')
        expected = {"schema": "My Shop", "table": "Job", "op": "insert"}
        self.assertEqual(json.loads(heard), expected)
        [heard] = self.rings('truncate "My Shop"."Job"')
        self.assertEqual(json.loads(heard), {**expected, "op": "truncate"})

    def test_odd_names(self) -> None:
        """Tables, schemas and channels have any name that PostgreSQL takes."""
        names = ['"We ""said"""', '"Größe"', "x" * 63, '"' + "ü" * 31 + '"', '"it\'s"', '"$a$"']
        for name in names:
            self.run_sql(f"create schema {name}; create table {name}.{name} (id int primary key)")
            channel = name.strip('"')
            self.install(f"{name}.{name}", channel, payload="key", when="id > 0")
            self.assertEqual(self.rings(f"insert into {name}.{name} values (5)"), ["[5]"], name)
            self.run_sql(trigger_sql(f"{name}.{name}", channel))
            self.run_sql(remove_sql(f"{name}.{name}", channel))
        self.assertEqual(self.leftovers(), [])

    def test_partitions(self) -> None:
        """A partitioned table rings for what is written to it, by its own name and keys."""
        self.run_sql(
            "create table event (id int primary key, at int) partition by range (id);"
            "create table event_1 partition of event for values from (0) to (10);"
            "create table event_2 partition of event for values from (10) to (20)"
        )
        self.install("event", "jobs", payload="key")
        self.assertEqual(self.rings("insert into event values (1), (11)"), ["[1, 11]"])

    def test_again(self) -> None:
        """Installed again with other options, those count, and there is no second ring."""
        self.install(on="insert", payload="key")
        self.install(on="insert", payload="key")
        self.assertEqual(self.rings("insert into job values (1)"), ["[1]"])
        self.install(on="delete")
        self.assertEqual(self.rings("insert into job values (2); delete from job"), [""])
        self.assertEqual(len(self.leftovers()), 2)

    def test_two_channels(self) -> None:
        """A table may ring several channels; one is removed without the other."""
        self.install(channel="jobs")
        self.install(channel="Jobs")
        self.assertEqual(self.rings("insert into job values (1)"), ["", ""])
        self.run_sql(remove_sql("job", "jobs"))
        self.assertEqual(self.rings("insert into job values (2)"), [""])

    def test_remove(self) -> None:
        """Removed, nothing is left; removing nothing is no error, not even without the table."""
        self.install()
        for _ in range(2):
            self.run_sql(remove_sql("job", "jobs"))
            self.assertEqual(self.leftovers(), [])
        self.run_sql(remove_sql("missing.table", "jobs"))

    def test_schema(self) -> None:
        """The function may be put in another schema, where there are those of other tables too."""
        self.run_sql("create schema tools; create schema shop; create table shop.job (id int)")
        for table in ("public.job", "shop.job"):
            self.install(table, "jobs", schema="tools", payload="operation")
        [heard] = self.rings("insert into shop.job values (1)")
        self.assertEqual(json.loads(heard)["schema"], "shop")
        where = "select distinct pronamespace::regnamespace::text from pg_proc where proname ~"
        self.assertEqual(self.query(f"{where} '^doorbell_'"), [("tools",)])
        for table in ("public.job", "shop.job"):
            self.run_sql(remove_sql(table, "jobs", schema="tools"))
        self.assertEqual(self.leftovers(), [])

    def test_other_writers(self) -> None:
        """Who may write to the table rings it, with no right to the function or its schema."""
        self.run_sql("create schema tools")
        self.install(schema="tools", payload="key")
        self.run_sql("drop role if exists clerk; create role clerk; grant insert on job to clerk")
        self.addCleanup(self.run_sql, "reset role; drop owned by clerk; drop role clerk")
        self.assertEqual(self.rings("set role clerk; insert into job values (1)"), ["[1]"])


class OldServerTests(NewServerTests):
    """The same on an older PostgreSQL."""

    def server(self) -> PostgresServer:
        """Return the system's."""
        return old_server()
