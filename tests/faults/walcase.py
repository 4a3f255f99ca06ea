"""What tests of faults need that are run against the reader of the write-ahead log."""

from __future__ import annotations

from typing import Any

from tests.faults.case import FaultTestCase
from tests.servers import execute
from tests.walservers import logical_server, shared_logical_server
from txdoorbell.embedded import PostgresServer
from txdoorbell.wal import WalSource


class LogMixin(FaultTestCase):
    """Has a source that reads the log in place of a listener; else the tests are the same."""

    no_answer = "no answer to a (query|keepalive)"
    in_recovery = "the server is a standby: its log can't be read before it is promoted"

    def make_source(self, dsn: str, **options: Any) -> Any:
        """Return the source to be tested."""
        return WalSource(self.reactor(), dsn, **options)

    def shared_server(self) -> PostgresServer:
        """Return a server that tests share."""
        return shared_logical_server()

    def private_server(self, **options: Any) -> PostgresServer:
        """Return a server of this test's own."""
        return logical_server(self, **options)

    def standby_server(self) -> PostgresServer:
        """Return a server in recovery, of this test's own."""
        server = self.private_server()
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        return server

    def drop_database(self, dsn: str, name: str) -> None:
        """Leave it: the slot in it ends with the source, after this."""

    def ring(self, dsn: str, channel: str, payload: str = "") -> None:
        """Ring a channel, from a session of somebody else, committed on return."""
        sql = "select pg_logical_emit_message(true, 'txdoorbell:' || %s, %s)"
        execute(dsn, sql, (channel, payload))
