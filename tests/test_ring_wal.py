"""The command ``txdoorbell ring --wal``: a message in the write-ahead log."""

from __future__ import annotations

import psycopg2

from tests.commands import CommandTestCase
from tests.servers import private_server, shared_server
from txdoorbell.embedded import PostgresServer

_SLOT = "select pg_create_logical_replication_slot('test', 'pgoutput', true)"
_READ = (
    "select data from pg_logical_slot_get_binary_changes('test', null, null, 'proto_version', '1',"
    " 'publication_names', 'none', 'messages', 'true')"
)


class RingTests(CommandTestCase):
    """What it does."""

    def server(self) -> PostgresServer:
        """Return a server that keeps a log which can be decoded."""
        return private_server(self, settings={"wal_level": "logical"})

    async def test_rings(self) -> None:
        """When it ends with 0 the message has been committed: the channel, then the payload."""
        server = self.server()
        reader = psycopg2.connect(server.dsn)
        self.addCleanup(reader.close)
        reader.autocommit = True
        cursor = reader.cursor()
        if reader.server_version < 140000:
            self.skipTest("messages can be read from PostgreSQL 14 on")
        cursor.execute("create publication none")
        cursor.execute(_SLOT)
        command = self.txdoorbell("ring", "--wal", "Jobs", "it's 7 €", "--dsn", server.dsn)
        self.assertEqual((await command.ends(), command.out, command.err), (0, "", ""))
        cursor.execute(_READ)
        messages = [bytes(row[0]) for row in cursor if bytes(row[0][:1]) == b"M"]
        self.assertEqual(len(messages), 1)
        self.assertIn(b"txdoorbell:Jobs\0", messages[0])
        self.assertTrue(messages[0].endswith("it's 7 €".encode()), messages)

    async def test_nobody(self) -> None:
        """Where the log can't be decoded nobody could hear it; what to run is told."""
        command = self.txdoorbell("ring", "--wal", "jobs", "--dsn", shared_server().dsn)
        await self.refused(command, 1, "ALTER SYSTEM SET wal_level = logical")

    async def test_refused(self) -> None:
        """A server that isn't there: status 1 and one line, without the password."""
        dsn = "postgresql://me:geheim@127.0.0.1:1/app"
        command = self.txdoorbell("ring", "--wal", "jobs", "--dsn", dsn)
        await self.refused(command, 1, "127.0.0.1:1/app as me: Connection refused")
        self.assertNotIn("geheim", command.err)
