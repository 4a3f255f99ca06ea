"""Passwords: in no log, failure, reason or representation, whichever way they came in."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from tests.faults.case import PATIENT, FaultTestCase, backends
from tests.servers import execute, private_server
from tests.waiting import wait_for
from txdoorbell.listener import Listener
from txdoorbell.probe import ProbeFailed
from txdoorbell.session import SessionEnded

RIGHT = "sesame-XYZZY"
WRONG = "barley-XYZZY"


class SecretTests(FaultTestCase):
    """A listener that logs in with a password, is refused, is lost, and fails at everything."""

    def setUp(self) -> None:
        """Have a server that asks for it, and remember everything that is said."""
        self.server = private_server(self)
        self.admin = self.server.dsn
        execute(self.admin, f"create role guest login password '{RIGHT}'")
        rules = "host all guest all scram-sha-256\nhost all all all trust\n"
        (self.server.data / "pg_hba.conf").write_text(rules)
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGHUP)
        self.said: list[str] = []
        observer: Any = self.remember_event
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.base = " ".join(part for part in self.admin.split() if "user=" not in part)
        super().setUp()

    def remember_event(self, event: Any) -> None:
        """Remember all that an observer could write."""
        self.said += [formatEvent(event), repr(event)]
        if "log_failure" in event:
            self.remember_failure(event["log_failure"])

    def remember_failure(self, failure: Failure) -> None:
        """Remember a failure in every form."""
        self.said += [str(failure), repr(failure.value), failure.getTraceback(detail="verbose")]

    async def fails(self, answer: Any) -> None:
        """See a Deferred fail, and remember how."""
        results: list[Failure] = []
        answer.addErrback(results.append)
        await wait_for("a failure", lambda: results)
        self.assertIsInstance(results[0].value, (SessionEnded, ProbeFailed))
        self.remember_failure(results[0])

    async def go_through(self, dsn: str) -> None:
        """Let a listener log in, be lost, be refused, and come back; fail unless it does."""
        execute(self.admin, f"alter role guest password '{RIGHT}'")
        listener, audience = await self.listening(dsn, **PATIENT)
        execute(self.admin, f"alter role guest password '{WRONG}'")
        execute(self.admin, "select pg_terminate_backend(%s)", (backends(self.admin)[0],))
        await wait_for("a refusal", lambda: "authentication failed" in listener.reason)
        await self.fails(listener.notify("jobs"))
        await self.fails(listener.probe())
        execute(self.admin, f"alter role guest password '{RIGHT}'")
        await self.hears(listener, audience, self.admin)
        await self.stop(listener)
        self.said += [repr(audience.calls), *self.shown(listener)]

    def shown(self, listener: Listener) -> list[str]:
        """Return all that a listener shows of itself, and of what it is made of."""
        parts = [listener, *vars(listener).values()]
        return [str(parts), *map(repr, parts), listener.description, listener.reason]

    async def test_nowhere(self) -> None:
        """By keyword, URI, environment, passfile or service file: it is never shown."""
        host, port = "127.0.0.1", self.base.split("port=")[1].split()[0]
        passfile = self.written(f"{host}:{port}:*:guest:{RIGHT}\n")
        service = self.written(f"[bell]\nhost={host}\nport={port}\nuser=guest\npassword={RIGHT}\n")
        ways: list[tuple[str, dict[str, str]]] = [
            (f"{self.base} user=guest password='{RIGHT}'", {}),
            (f"postgresql://guest:{RIGHT}@{host}:{port}/postgres", {}),
            (f"postgresql://guest@{host}:{port}/postgres?password={RIGHT}", {}),
            (f"{self.base} user=guest", {"PGPASSWORD": RIGHT}),
            (f"{self.base} user=guest", {"PGPASSFILE": passfile}),
            (f"{self.base} user=guest passfile={passfile}", {}),
            ("service=bell dbname=postgres", {"PGSERVICEFILE": service}),
        ]
        for dsn, environ in ways:
            with Environment(environ):
                await self.go_through(dsn)
        self.assertGreater(len(self.said), 50)
        self.assertEqual([text for text in self.said if "XYZZY" in text], [])

    def written(self, text: str) -> str:
        """Write a file that only we may read; return its path."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        path.chmod(0o600)
        return str(path)


class Environment:
    """Environment variables, for a while."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ

    def __enter__(self) -> None:
        os.environ.update(self._environ)

    def __exit__(self, *_: object) -> None:
        for name in self._environ:
            del os.environ[name]
