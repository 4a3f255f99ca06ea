"""What must not be seen, and what need not be allowed: passwords and privileges."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent
from twisted.python.failure import Failure

from tests.commands import CommandTestCase, environment
from tests.faults.bells import BellFaultTestCase
from tests.faults.case import address
from tests.servers import execute, private_server, shared_server, terminate
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.listening.dsn import Dsn
from txdoorbell.notification import State

MARK = "Zq"
"""It stands in each part of the password, so that a part of it is found, too."""

SECRET = f"a{MARK}1 b@{MARK}2/c%{MARK}3'd\\{MARK}4"
WRONG = f"wrong{MARK}5"


def keywords(host: str, port: int, password: str) -> str:
    """Return a DSN with a password in it."""
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"host={host} port={port} user=guest dbname=postgres password='{quoted}'"


def uri(host: str, port: int, password: str) -> str:
    """Return a URI with a password in it."""
    return f"postgresql://guest:{quote(password, safe='')}@{host}:{port}/postgres"


def without(host: str, port: int) -> str:
    """Return a DSN without a password."""
    return f"host={host} port={port} user=guest dbname=postgres"


class SecretsTests(BellFaultTestCase):
    """A server that asks for a password, which is looked for in all that can be seen."""

    def setUp(self) -> None:
        """Have the server."""
        self.server = private_server(self)
        self.admin = self.server.dsn
        execute(self.admin, "create role guest login password %s", (SECRET,))
        rules = "host all guest all scram-sha-256\nhost all all all trust\n"
        (self.server.data / "pg_hba.conf").write_text(rules)
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGHUP)
        super().setUp()
        self.began: list[float] = []
        self.seen: list[str] = []

    def run_noted(self) -> None:
        """Be a processing function that notes when it runs."""
        self.began.append(self.reactor().seconds())

    async def test_keywords(self) -> None:
        """The password is in a DSN."""
        await self.keeps_secret(keywords)

    async def test_uri(self) -> None:
        """The password is in a URI."""
        await self.keeps_secret(uri)

    async def test_uri_parameter(self) -> None:
        """The password is in a URI, as a parameter."""

        def prepared(host: str, port: int, password: str) -> str:
            return f"postgresql://guest@{host}:{port}/postgres?password={quote(password, safe='')}"

        await self.keeps_secret(prepared)

    async def test_environment(self) -> None:
        """The password is in PGPASSWORD."""

        def prepared(host: str, port: int, password: str) -> str:
            self.set_variable("PGPASSWORD", password)
            return without(host, port)

        await self.keeps_secret(prepared)

    async def test_passfile(self) -> None:
        """The password is in a password file."""
        path = Path(self.mktemp())

        def prepared(host: str, port: int, password: str) -> str:
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            path.write_text(f"*:*:*:guest:{escaped}\n")
            path.chmod(0o600)
            self.set_variable("PGPASSFILE", str(path.absolute()))
            return without(host, port)

        await self.keeps_secret(prepared)

    async def test_service(self) -> None:
        """The password is in a service file."""
        path = Path(self.mktemp())

        def prepared(host: str, port: int, password: str) -> str:
            path.write_text(f"[app]\npassword={password}\n")
            self.set_variable("PGSERVICEFILE", str(path.absolute()))
            return f"{without(host, port)} service=app"

        await self.keeps_secret(prepared)

    async def keeps_secret(self, dsn: Callable[[str, int, str], str]) -> None:
        """Let all kinds of things go right and wrong, and look for the password everywhere."""
        host, port = address(self.admin)
        await self.lost_session(dsn(host, port, SECRET))
        await self.never_listening(dsn(host, port, WRONG), "password authentication failed")
        await self.never_listening(dsn(host, 1, SECRET), "refused")
        self.assertEqual([text for text in self.everything() if MARK in text], [])

    async def lost_session(self, dsn: str) -> None:
        """Use a doorbell in all ways, and lose its session."""
        bell = self.doorbell(dsn, self.run_noted)
        await self.runs(bell, self.began, self.admin)
        await in_time("a probe", bell.listener.probe())
        await in_time("the ring", bell.ring("jobs", "by ourselves"))
        listening = len([text for text in self.logged_everything() if "LISTEN committed" in text])
        terminate(self.admin, "txdoorbell")
        await wait_for(
            "a new session",
            lambda: (
                sum("LISTEN committed" in text for text in self.logged_everything()) > listening
            ),
        )
        await self.runs(bell, self.began, self.admin)
        await self.look_at(bell, dsn)

    async def never_listening(self, dsn: str, reason: str) -> None:
        """Start a doorbell that gets no session."""
        bell = self.doorbell(dsn, self.run_noted)
        listener: Any = bell.listener
        await wait_for(f"{reason!r}", lambda: reason in listener.reason)
        await self.look_at(bell, dsn)

    async def look_at(self, bell: Doorbell, dsn: str) -> None:
        """Note all that can be seen of a doorbell: what it says of itself, and how it fails."""
        waiting = bell.when_listening()
        answers: list[Deferred[Any]] = [bell.listener.probe(), bell.ring("jobs")]
        for answer in answers:
            answer.addErrback(self.note_failure)
            await in_time("an answer", answer)
        await self.stop_bell(bell)
        await in_time("the end of waiting", waiting.addErrback(self.note_failure))
        await in_time("a refusal", bell.ring("jobs").addErrback(self.note_failure))
        listener: Any = bell.listener
        parts = [bell, *vars(bell).values(), listener, *vars(listener).values(), Dsn(dsn)]
        parts += [listener.state, listener.reason, listener.description, *bell.loops]
        if hasattr(bell, "status"):
            parts.append(bell.status())
        self.seen += [text for part in parts for text in (repr(part), str(part))]

    def note_failure(self, failure: Failure) -> None:
        """Note all that a failure says."""
        self.seen += [str(failure.value), repr(failure.value), str(failure), repr(failure)]
        self.seen.append(failure.getTraceback(detail="verbose"))

    def logged_everything(self) -> list[str]:
        """Return the text of each event, and the value of each of its fields."""
        texts = [formatEvent(event) for event in self._events]
        for event in self._events:
            texts += [repr(value) for value in event.values()]
            failure = event.get("log_failure")
            texts += [failure.getTraceback(detail="verbose")] if failure else []
        return texts

    def everything(self) -> list[str]:
        """Return all that was seen, and there must be much of it."""
        texts = [*self.seen, *self.logged_everything()]
        self.assertGreater(len(texts), 100)
        return texts

    def test_misspelt(self) -> None:
        """A DSN that can't be parsed is refused without the part that may be the password."""
        host, port = address(self.admin)
        for dsn in (
            f"postgresql://guest:{SECRET}@{host}:{port}/postgres",
            f"postgresql://guest:a/{MARK}@{host}:{port}/postgres",
            f"host={host} password={SECRET}",
            f"host={host} password='{SECRET}'",
            f"host={host} passwort='{MARK}'",
            f"host={host} password=a {MARK}",
            f"host={host} port={MARK} password=a",
        ):
            with self.assertRaises(ValueError) as caught:
                Doorbell(self.reactor(), dsn)
            self.assertNotIn(MARK, str(caught.exception), dsn)
            self.assertEqual(len(str(caught.exception).splitlines()), 1)

    def set_variable(self, name: str, value: str) -> None:
        """Set an environment variable until the end of the test."""
        self.addCleanup(restore_variable, name, os.environ.get(name))
        os.environ[name] = value


def restore_variable(name: str, value: str | None) -> None:
    """Set an environment variable, or unset it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class CommandSecretsTests(CommandTestCase):
    """What ``twistd doorbell`` and ``txdoorbell`` print."""

    async def test_commands(self) -> None:
        """Each command that connects complains of a server that is away, without the password."""
        dsn = keywords("127.0.0.1", 1, SECRET)
        for arguments in (["ring", "jobs"], ["sql", "--lint"], ["drill"]):
            command = self.txdoorbell(*arguments, "--dsn", dsn, environ=environment())
            self.assertEqual(await command.ends(), 1)
            self.assertIn("refused", command.err)
            self.assertNotIn(MARK, command.out + command.err)

    async def test_watch(self) -> None:
        """So does the one that waits for it."""
        dsn = uri("127.0.0.1", 1, SECRET)
        command = self.txdoorbell("watch", "jobs", "--dsn", dsn, environ=environment())
        await wait_for("the complaint", lambda: "refused" in command.err)
        command.signal("INT")
        await command.ends()
        self.assertNotIn(MARK, command.out + command.err)

    async def test_refused(self) -> None:
        """A server that is away is complained of, without the password."""
        command = self.twistd(
            "-n", "doorbell", "--dsn", keywords("127.0.0.1", 1, SECRET), environ=environment()
        )
        await command.prints("is waiting")
        command.signal("INT")
        await command.ends()
        self.assertNotIn(MARK, command.out + command.err)

    async def test_misspelt(self) -> None:
        """A DSN that can't be parsed is complained of, without the password."""
        for dsn in (f"host=a password=b {MARK}", f"postgresql://guest:{SECRET}@a/b"):
            command = self.twistd("-n", "doorbell", "--dsn", dsn, environ=environment())
            self.assertEqual(await command.ends(), 1)
            self.assertNotIn(MARK, command.out + command.err)


class PrivilegesTests(BellFaultTestCase):
    """A role that may connect, and nothing else."""

    async def test_connect_only(self) -> None:
        """It listens, is probed, rings, and follows changes of channels."""
        admin = shared_server().dsn
        number = next(self.names)
        role, database = f"hermit{number}", f"narrow{number}"
        execute(admin, f"create role {role} login")
        execute(admin, f"create database {database}")
        self.addCleanup(execute, admin, f"drop role {role}")
        self.addCleanup(execute, admin, f"drop database {database} with (force)")
        owner = f"{admin} dbname={database}"
        execute(owner, f"revoke all on database {database} from public")
        execute(owner, "revoke all on schema public from public")
        execute(owner, f"grant connect on database {database} to {role}")

        began: list[float] = []
        bell = self.doorbell(f"{owner} user={role}", lambda: began.append(self.reactor().seconds()))
        await self.runs(bell, began, owner)
        await in_time("a probe", bell.listener.probe())
        heard: list[object] = []
        bell.subscribe("a", "mail", lambda _, channel, data, pid: heard.append(data))
        await in_time("LISTEN on a further channel", bell.when_listening())
        await in_time("the ring", bell.ring("mail", "a letter"))
        await wait_for("the letter to be heard", lambda: heard == ["a letter"])
        self.assertIs(bell.listener.state, State.LISTENING)
        self.assertEqual(self.logged_texts(), [])
