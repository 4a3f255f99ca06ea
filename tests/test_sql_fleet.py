"""``txdoorbell sql --fleet``: the table that numbers leases, printed, made and removed."""

from __future__ import annotations

from itertools import count

from psycopg2.extensions import make_dsn

from tests.commands import CommandTestCase
from tests.servers import execute, shared_server

TABLE = "select to_regclass('public.txdoorbell_leases') is not null"


class FleetTests(CommandTestCase):
    """The command, on a database of its own."""

    names = count()

    def setUp(self) -> None:
        """Make the database."""
        super().setUp()
        server, name = shared_server().dsn, f"sqlfleet{next(self.names)}"
        execute(server, f"create database {name}")
        self.addCleanup(execute, server, f"drop database {name} with (force)")
        self.dsn = make_dsn(server, dbname=name)

    def is_there(self) -> bool:
        """Say whether the table is there."""
        [(there,)] = execute(self.dsn, TABLE)
        return bool(there)

    async def printed(self, *arguments: str) -> str:
        """Return what the command prints, without a database."""
        command = self.txdoorbell("sql", "--fleet", *arguments)
        self.assertEqual((await command.ends(), command.err), (0, ""))
        return command.out

    async def test_print(self) -> None:
        """What it prints can be run as it is, twice too; so can the removal."""
        sql = await self.printed()
        execute(self.dsn, sql)
        execute(self.dsn, "insert into txdoorbell_leases values ('a', 7, 'anna', 1, 2, now())")
        execute(self.dsn, sql)
        [(number,)] = execute(self.dsn, "select number from txdoorbell_leases")
        self.assertEqual(number, 7)
        execute(self.dsn, await self.printed("--remove"))
        self.assertFalse(self.is_there())

    async def test_apply(self) -> None:
        """It makes the table, says so in a line, and removes it."""
        for arguments, said, there in (
            ((), "leases are numbered (127.0.0.1:", True),
            ((), "leases are numbered (", True),
            (("--remove",), "leases are numbered no more (", False),
            (("--remove",), "leases are numbered no more (", False),
        ):
            out = await self.printed(*arguments, "--apply", "--dsn", self.dsn)
            self.assertTrue(out.startswith(said), out)
            self.assertEqual((out.count("\n"), self.is_there()), (1, there))

    async def test_role(self) -> None:
        """Another role may be let in."""
        execute(self.dsn, 'create role "Shop 2" login')
        self.addCleanup(execute, shared_server().dsn, 'drop role "Shop 2"')
        self.addCleanup(execute, self.dsn, 'drop owned by "Shop 2"')
        await self.printed("--role", "Shop 2", "--apply", "--dsn", self.dsn)
        shop = make_dsn(self.dsn, user="Shop 2")
        execute(shop, "insert into txdoorbell_leases values ('a', 7, 'anna', 1, 2, now())")

    async def test_refused(self) -> None:
        """Who may not make it is told so, in one line."""
        execute(self.dsn, "revoke create on schema public from public")
        execute(self.dsn, "drop role if exists guest; create role guest login")
        self.addCleanup(execute, shared_server().dsn, "drop role guest")
        guest = make_dsn(self.dsn, user="guest")
        command = self.txdoorbell("sql", "--fleet", "--apply", "--dsn", guest)
        await self.refused(command, 1, "permission denied for schema public")
