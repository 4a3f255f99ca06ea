"""A session that reads the write-ahead log, at a real server."""

from __future__ import annotations

import select

from tests.test_session import WITHIN, SessionTestCase
from tests.waiting import in_time, wait_for
from tests.walservers import shared_logical_server
from txdoorbell.clocks import monotonic_of
from txdoorbell.listening.session import parse_dsn
from txdoorbell.walreading.replication import ReplicationSession

SLOT = "CREATE_REPLICATION_SLOT beaten TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT"
OPTIONS = {"proto_version": "1", "publication_names": "none", "messages": "true"}


class Reader(ReplicationSession):
    """A session that can be told to read on, as it does after a lot has come."""

    def read_on(self) -> None:
        """Read on without having been called for it by the reactor."""
        self._continue()


class BeatTests(SessionTestCase):
    """A keepalive that is asked for is seen to be answered, whatever reads the answer."""

    def setUp(self) -> None:
        """Use the server whose log can be decoded."""
        super().setUp()
        self.dsn = shared_logical_server().dsn

    async def reading(self) -> Reader:
        """Return a session that reads the log, and to which the server has no more to say."""
        session: Reader = self.session(Reader)
        await in_time("the connection", session.open(parse_dsn(f"{self.dsn} replication=database")))
        await in_time("the slot", session.query(SLOT, within=WITHIN))
        await in_time("the log", session.stream("beaten", OPTIONS, id, within=WITHIN))
        now = monotonic_of(self.reactor)
        await wait_for("silence", lambda: now() - session.last_read > 0.5)
        return session

    async def test_read_on(self) -> None:
        """It is when the answer is there before the reactor has had a turn."""
        session = await self.reading()
        answer = session.beat(WITHIN)
        select.select([session], [], [], WITHIN)
        session.read_on()
        await in_time("the answer", answer)
