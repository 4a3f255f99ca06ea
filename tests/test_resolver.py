"""Host names: looked up in threads that nobody waits for, and given to libpq as addresses."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

import tests
from tests.faults.case import address
from tests.servers import shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.listening.connector import Connector, Timing
from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.resolver import LookupFailed, Resolver, lookup
from txdoorbell.listening.session import Session, SessionEnded

ADDRESSES = {"a": ["10.0.0.1", "fe80::1"], "b": ["10.0.0.2"]}


class ResolverTestCase(TestCase):
    """Tests with names of their own."""

    def setUp(self) -> None:
        """Have nothing looked up."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.asked: list[str] = []

    def look_up(self, name: str) -> list[str]:
        """Look up a name, as a name server would."""
        self.asked.append(name)
        if name in ADDRESSES:
            return ADDRESSES[name]
        raise OSError(-2, "nobody knows")

    def parameters(self, text: str) -> Deferred[dict[str, str]]:
        """Return what libpq is given for a DSN."""
        return Resolver(self.reactor, self.look_up).parameters(Dsn(text, {}))


class ResolverTests(ResolverTestCase):
    """What becomes of a DSN."""

    async def servers(self, text: str) -> list[tuple[str, ...]]:
        """Return the servers that libpq is told to try: host, address, port."""
        parameters = await in_time("the lookups", self.parameters(text))
        columns = (parameters.get(key, "").split(",") for key in ("host", "hostaddr", "port"))
        return list(zip(*columns, strict=True))

    async def test_name(self) -> None:
        """A name becomes one entry for each of its addresses, in their order."""
        self.assertEqual(
            await self.servers("host=a"), [("a", "10.0.0.1", "5432"), ("a", "fe80::1", "5432")]
        )

    async def test_list(self) -> None:
        """In a list, hosts, addresses and ports stay together."""
        self.assertEqual(
            await self.servers("host=a,/tmp,b,::1 port=1,2,3,4"),
            [
                ("a", "10.0.0.1", "1"),
                ("a", "fe80::1", "1"),
                ("/tmp", "", "2"),
                ("b", "10.0.0.2", "3"),
                ("::1", "", "4"),
            ],
        )

    async def test_uri(self) -> None:
        """A URI is no different."""
        self.assertEqual(
            await self.servers("postgresql://b:7,b:8/app"),
            [("b", "10.0.0.2", "7"), ("b", "10.0.0.2", "8")],
        )
        self.assertEqual(self.asked, ["b"])

    async def test_service(self) -> None:
        """A name from a service file, or from the environment, is looked up too."""
        path = Path(self.mktemp())
        path.write_text("[app]\nhost=b\n")
        for environ in ({"PGSERVICE": "app", "PGSERVICEFILE": str(path)}, {"PGHOST": "b"}):
            resolver = Resolver(self.reactor, self.look_up)
            parameters = await in_time("the lookup", resolver.parameters(Dsn("", environ)))
            self.assertEqual(parameters["hostaddr"], "10.0.0.2")

    async def test_nothing_to_look_up(self) -> None:
        """Sockets, addresses and what has a hostaddr are left alone."""
        for text in ("", "host=/tmp", "host=@abstract", "host=::1", "host=a hostaddr=10.0.0.9"):
            parameters = await in_time("nothing", self.parameters(text))
            self.assertEqual(parameters, Dsn(text, {}).parameters())
        self.assertEqual(self.asked, [])

    async def test_one_unknown(self) -> None:
        """A name that nobody knows is left out when there is another server."""
        self.assertEqual(await self.servers("host=x,b"), [("b", "10.0.0.2", "5432")])

    async def test_all_unknown(self) -> None:
        """When no server remains, that is an error that names each."""
        failure = self.parameters("host=x,y")
        error = await self.assertFailure(failure, LookupFailed)
        self.assertEqual(str(error), "x: nobody knows; y: nobody knows")

    async def test_no_name_at_all(self) -> None:
        """What can't even be asked for is an error like that."""
        resolver = Resolver(self.reactor)
        failure = resolver.parameters(Dsn(f"host={'x' * 64}", {}))
        await self.assertFailure(failure, LookupFailed)

    async def test_libpq(self) -> None:
        """Libpq takes the lists, sockets in them too, and finds the server."""
        dsn = Dsn(f"{shared_server().dsn} host=/nowhere,localhost,127.0.0.1")
        parameters = await in_time("the lookup", Resolver(self.reactor).parameters(dsn))
        connection = psycopg2.connect(make_dsn(**parameters))
        self.addCleanup(connection.close)
        self.assertEqual(connection.info.host, "localhost")

    def test_lookup(self) -> None:
        """This system's own addresses are found, each once."""
        found = lookup("localhost")
        self.assertTrue({"127.0.0.1", "::1"} & set(found))
        self.assertEqual(len(found), len(set(found)))


class StuckTests(ResolverTestCase):
    """A name server that doesn't answer."""

    def setUp(self) -> None:
        """Have it answer when told so."""
        super().setUp()
        self.answered = threading.Event()
        self.addCleanup(self.answered.set)
        self.resolver = Resolver(self.reactor, self.look_up)

    def look_up(self, name: str) -> list[str]:
        """Look up a name, which takes its time."""
        self.asked.append(name)
        self.answered.wait(10.0)
        return ["127.0.0.1"]

    def stuck_session(self, timeout: float) -> tuple[Connector, Session, list[str]]:
        """Return a session that waits for its host's address, and what it tells."""
        dsn = Dsn(f"{shared_server().dsn} host=stuck")
        timing = Timing(connect_timeout=timeout)
        connector = Connector(self.reactor, dsn, self.resolver, timing)
        told: list[str] = []
        session = connector.session(told.append)
        self.addCleanup(session.close)
        return connector, session, told

    async def test_one_thread(self) -> None:
        """Whoever asks for a name while it is being looked up waits for the same thread."""
        answers = [self.resolver.addresses("stuck") for _ in range(5)]
        await wait_for("the thread", lambda: self.asked)
        self.answered.set()
        for answer in answers:
            self.assertEqual(await in_time("the address", answer), ["127.0.0.1"])
        self.assertEqual(self.asked, ["stuck"])

    async def test_deadline(self) -> None:
        """The deadline for connecting includes the lookup."""
        connector, session, told = self.stuck_session(0.1)
        connecting = Deferred.fromCoroutine(connector.connect(session))
        await in_time("the deadline", self.assertFailure(connecting, SessionEnded))
        self.assertEqual(told, ["not connected within 0.1 s"])
        await in_time("the end", connector.when_settled())

    async def test_close(self) -> None:
        """A session that is closed meanwhile is over at once; the answer comes too late for it."""
        connector, session, told = self.stuck_session(60.0)
        connecting = Deferred.fromCoroutine(connector.connect(session))
        session.close()
        await self.assertFailure(connecting, SessionEnded)
        await in_time("the end", connector.when_settled(), 0.5)
        late = self.resolver.addresses("stuck")
        self.answered.set()
        await in_time("the late answer", late)
        self.assertEqual(told, [])

    def test_exit(self) -> None:
        """A process whose name server doesn't answer stops at once."""
        program = (
            "import time\n"
            "from twisted.internet import reactor\n"
            "from txdoorbell.listening.resolver import Resolver\n"
            "Resolver(reactor, lambda name: time.sleep(60) or []).addresses('stuck')\n"
            "reactor.callLater(0.1, reactor.stop)\n"
            "reactor.run()\n"
        )
        root = Path(tests.__file__).parent.parent
        subprocess.run([sys.executable, "-c", program], check=True, timeout=20, cwd=root)


class ConnectorTests(ResolverTestCase):
    """Sessions, from the name of the server to the settings; silent servers are with the faults."""

    async def test_connect(self) -> None:
        """A server is reached by its name, and asked to drop a session whose client is gone."""
        dsn = Dsn(f"{shared_server().dsn} host=localhost")
        connector = Connector(self.reactor, dsn, Resolver(self.reactor))
        session = connector.session(lambda reason: None)
        self.addCleanup(connector.when_settled)
        self.addCleanup(session.close)
        await in_time("the connection", Deferred.fromCoroutine(connector.connect(session)))
        self.assertEqual(session.peer, f"localhost:{address(shared_server().dsn)[1]}")
        self.assertFalse(await connector.set_up(session))
        for name, value in (
            ("application_name", "txdoorbell"),
            ("idle_in_transaction_session_timeout", "1min"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_user_timeout", "15000"),
        ):
            self.assertEqual(await session.query(f"show {name}", within=5.0), [(value,)])

    def test_timing(self) -> None:
        """A time to wait is some seconds; only what happens now and then may be never."""
        Timing(heartbeat=0, probe_interval=0)
        for name in Timing.__dataclass_fields__:
            for seconds in (-1.0, float("nan"), *([] if "_timeout" not in name else [0.0])):
                error = self.assertRaises(ValueError, Timing, **{name: seconds})
                self.assertIn(name, str(error))
