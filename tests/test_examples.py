"""The programs in ``docs/examples``, as their readers run them: on a real PostgreSQL."""

from __future__ import annotations

import socket
import time
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

import txdoorbell
from tests import pages
from tests.commands import Command, CommandTestCase, environment
from tests.servers import execute, shared_server
from tests.waiting import wait_for

EXAMPLES = Path(txdoorbell.__file__).resolve().parent.parent / "docs" / "examples"


class ExampleTestCase(CommandTestCase):
    """
    Tests of examples, each with a database of its own that has the job table.

    :ivar dsn: that database.
    """

    skip = None if EXAMPLES.is_dir() else "the examples are not installed"
    names = count()

    def setUp(self) -> None:
        """Make the database."""
        super().setUp()
        server, name = shared_server().dsn, f"example{next(self.names)}"
        self.dsn = make_dsn(server, dbname=name)
        execute(server, f"create database {name}")
        self.addCleanup(execute, server, f"drop database {name} with (force)")
        execute(self.dsn, (EXAMPLES / "jobs" / "schema.sql").read_text())

    def tac(self, path: Path, **variables: str) -> Command:
        """Run an application that finds the database by libpq's environment."""
        place = parse_dsn(self.dsn)
        variables |= {"PGHOST": place["host"], "PGPORT": place["port"]}
        variables |= {"PGUSER": place["user"], "PGDATABASE": place["dbname"]}
        known = environment()
        variables["PYTHONPATH"] = f"{path.parent}:{known['PYTHONPATH']}"
        return self.twistd("-n", "--pidfile=", "-y", str(path), environ={**known, **variables})

    def sql(self, sql: str, *parameters: object) -> list[Any]:
        """Run a statement, as another program would."""
        return execute(self.dsn, sql, parameters)


class ShopTests(ExampleTestCase):
    """The job table."""

    async def shop(self) -> Command:
        """Open a shop; its port is free."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.port = port
        opened = self.tac(EXAMPLES / "jobs" / "shop.tac", SHOP=f"tcp:{port}:interface=127.0.0.1")
        await opened.prints("is listening")
        return opened

    def parcels(self) -> list[str]:
        """Return what was sent."""
        return [content for (content,) in self.sql("select content from parcel order by content")]

    async def test_order(self) -> None:
        """An order that comes in by TCP becomes a job, and the job is done."""
        await self.shop()
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            client.sendall(b"a kettle\n")
            self.assertEqual(client.recv(100), b"thank you\n")
        await wait_for("the parcel", lambda: self.parcels() == ["a kettle"])

    async def test_waiting(self) -> None:
        """Jobs from before the start are done."""
        self.sql("insert into job (task) values ('tea'), ('cups')")
        await self.shop()
        await wait_for("the parcels", lambda: self.parcels() == ["cups", "tea"])

    async def test_inserted(self) -> None:
        """Jobs that another program inserts are done at once, on one ring."""
        await self.shop()
        began = time.monotonic()
        self.sql("insert into job (task) select 'egg ' || n from generate_series(10, 59) as n")
        await wait_for("50 parcels", lambda: len(self.parcels()) == 50)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.sql("select count(*) from job where done is null"), [(0,)])

    async def test_two(self) -> None:
        """Two processes share the jobs, and each is done once."""
        shops = [await self.shop(), await self.shop()]
        self.sql("insert into job (task) select 'egg ' || n from generate_series(1000, 1299) as n")
        await wait_for("300 parcels", lambda: len(self.parcels()) >= 300, 20)
        self.assertEqual(len(set(self.parcels())), len(self.parcels()))
        self.assertEqual([shop.status for shop in shops], [None, None])

    async def test_later(self) -> None:
        """A job that is due later is done at its time."""
        await self.shop()
        began = time.monotonic()
        self.sql("insert into job (task, due) values ('later', now() + interval '6 seconds')")
        await wait_for("the parcel", lambda: self.parcels() == ["later"], 15)
        self.assertGreater(time.monotonic() - began, 5.9)
        self.assertLess(time.monotonic() - began, 8)

    async def test_failing(self) -> None:
        """A job that fails leaves nothing behind, stops no other, and is tried again."""
        shop = await self.shop()
        self.sql("insert into job (task) values ('a bomb'), ('a kettle')")
        await wait_for("the other parcel", lambda: self.parcels() == ["a kettle"])
        await shop.prints("job 1 failed, and will be tried again")
        state = "select attempts, error, due > now() + interval '1 second' from job where id = 1"
        self.assertEqual(self.sql(state), [(1, "not in this shop", True)])
        self.sql("update job set due = now(), task = 'flowers' where id = 1")
        await wait_for("another try", lambda: self.parcels() == ["a kettle", "flowers"])

    async def test_connections_lost(self) -> None:
        """When all its connections are cut it comes back by itself."""
        await self.shop()
        self.sql("insert into job (task) values ('before')")
        await wait_for("the first parcel", lambda: self.parcels() == ["before"])
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        self.sql("insert into job (task) values ('after')")
        await wait_for("the second parcel", lambda: self.parcels() == ["after", "before"], 15)


class OwnConnectionTests(ExampleTestCase):
    """A connection that an application has anyway."""

    async def test_rings(self) -> None:
        """It runs once when it listens, and then at each ring."""
        program = self.tac(EXAMPLES / "own_connection.tac")
        await program.prints("0 jobs to do")
        self.sql("insert into job (task) values ('tea'), ('cups')")
        await program.prints("2 jobs to do")
        self.sql("insert into job (task) values ('milk')")
        await program.prints("3 jobs to do")
        program.signal("TERM")
        await program.ends()
        self.assertNotIn("Traceback", program.out)


class QuickStartTests(ExampleTestCase):
    """The SQL of the quick start."""

    async def test_sql(self) -> None:
        """Its statements ring."""
        page = EXAMPLES.parent / "quickstart.rst"
        (ring,) = [block.text for block in pages.shown(page) if block.kind == "postgresql"]
        listener = psycopg2.connect(self.dsn)
        self.addCleanup(listener.close)
        listener.autocommit = True
        listener.cursor().execute("listen jobs")
        for statement in ring.split(";"):
            if statement.strip():
                self.sql(statement)

        def heard() -> list[str]:
            listener.poll()
            return [notify.payload for notify in listener.notifies]

        await wait_for("two rings", lambda: len(heard()) >= 2)
        self.assertEqual(heard(), ["", "payload"])
