"""Payloads that a client's encoding would lack must not end its session."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from psycopg2 import connect

from tests.faults.case import PATIENT, FaultTestCase
from tests.servers import execute, shared_server
from tests.waiting import wait_for


class EncodingTests(FaultTestCase):
    """Any user of the database may NOTIFY; whatever is said, the session goes on."""

    databases = count()

    def database(self, encoding: str) -> str:
        """Return the DSN of a new database with this encoding, dropped at the end."""
        name = f"encoded{next(self.databases)}"
        dsn = shared_server().dsn
        execute(
            dsn,
            f"create database {name} template template0 encoding '{encoding}'"
            " lc_collate 'C' lc_ctype 'C'",
        )
        self.addCleanup(execute, dsn, f"drop database {name} (force)")
        return f"{dsn} dbname={name}"

    async def heard(self, dsn: str, *payloads: bytes) -> list[str]:
        """Return what is heard of payloads sent as they are, by one and the same session."""
        _, audience = await self.listening(dsn, **PATIENT)
        before = self.losses(audience)
        self.send(dsn, payloads)
        await wait_for("the last payload", lambda: "end" in [h[1] for h in audience.heard])
        self.assertEqual(self.losses(audience), before)
        return [payload for _, payload, _ in audience.heard][:-1]

    def send(self, dsn: str, payloads: tuple[bytes, ...]) -> None:
        """Notify with raw bytes, in the encoding of the database."""
        sender: Any = connect(dsn)
        self.addCleanup(sender.close)
        sender.autocommit = True
        with sender.cursor() as cursor:
            cursor.execute(
                "select set_config('client_encoding', current_setting(%s), false)",
                ("server_encoding",),
            )
            for payload in (*payloads, b"end"):
                cursor.execute(b"select pg_notify('jobs', '" + payload + b"')")

    async def test_the_environments_encoding(self) -> None:
        """``PGCLIENTENCODING=LATIN1`` doesn't let a payload with a euro sign end the session."""
        self.addCleanup(os.environ.pop, "PGCLIENTENCODING")
        os.environ["PGCLIENTENCODING"] = "LATIN1"
        self.assertEqual(await self.heard(shared_server().dsn, "5 €".encode()), ["5 €"])

    async def test_the_dsns_encoding(self) -> None:
        """Nor does one that the DSN asks for."""
        dsn = f"{shared_server().dsn} client_encoding=latin1"
        self.assertEqual(await self.heard(dsn, "5 €".encode()), ["5 €"])

    async def test_a_latin_database(self) -> None:
        """In a database in Latin 1 every character of it is heard."""
        self.assertEqual(await self.heard(self.database("LATIN1"), b"\xe9\xff"), ["éÿ"])

    async def test_a_database_of_bytes(self) -> None:
        """In an SQL_ASCII database UTF-8 is heard as such, and what is none is replaced."""
        dsn = self.database("SQL_ASCII")
        heard = await self.heard(dsn, "é".encode(), b"\xff\xfe")
        self.assertEqual(heard, ["é", "\N{REPLACEMENT CHARACTER}" * 2])
