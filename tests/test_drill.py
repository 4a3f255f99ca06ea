"""``txdoorbell drill``: how soon a listener comes back, tried on a live installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.commands import CommandTestCase, environment
from tests.faults.case import FaultTestCase, address, backends, through
from tests.poolers import PgBouncer, find_pgbouncer
from tests.proxy import Proxy
from tests.servers import execute, open_folder, private_server, shared_server
from tests.waiting import wait_for
from txdoorbell.cli import main
from txdoorbell.commands.drill import HEADING, Drill, NotDrilled, Outcome
from txdoorbell.embedded.binaries import Account
from txdoorbell.listening.connector import Timing

FAULTS = ["backend terminated", "connection reset", "connection black-holed"]
HASTY = Timing(heartbeat=0.2, heartbeat_timeout=0.2, probe_timeout=1.0)


def drilling(dsn: str) -> list[Any]:
    """Return the drills' sessions at a server."""
    sql = "select pid from pg_stat_activity where application_name like 'txdoorbell drill%'"
    return execute(dsn, sql)


class OutcomeTests(SynchronousTestCase):
    """A line of the table."""

    def test_recovered(self) -> None:
        """It says when the fault was noticed, when it was mended, and that a ring was heard."""
        line = str(Outcome("connection reset", 0.0012, 0.0534, 0.00125))
        self.assertEqual(
            f"\n{HEADING}\n{line}",
            "\nfault                     noticed after  recovered after   ring heard"
            "\nconnection reset                0.001 s          0.053 s   in 1.2 ms",
        )

    def test_not_recovered(self) -> None:
        """What has not happened is a dash, and the reason stands last."""
        line = str(Outcome("connection reset", 0.5, failure="not in 60 s"))
        self.assertEqual(
            line, "connection reset                0.500 s                -   not in 60 s"
        )


class DrillTests(FaultTestCase):
    """A whole drill on a real server; nothing of it may be left, here or there."""

    async def drill(self, dsn: str, patience: float = 10.0) -> list[Outcome]:
        """Return what comes of a drill."""
        outcomes: list[Outcome] = []
        drill = Drill(self.reactor(), dsn, patience, HASTY)
        recovered = await drill.run(outcomes.append)
        self.assertEqual(recovered, all(outcome.heard for outcome in outcomes))
        self.assertEqual([outcome.fault for outcome in outcomes], FAULTS)
        return outcomes

    async def drills(self, dsn: str) -> None:
        """See that a drill goes well, in the time that the heartbeat allows."""
        outcomes = await self.drill(dsn)
        # The detour delays nothing, as Nagle's algorithm would by 40 ms.
        self.assertLess(min(outcome.heard or 1.0 for outcome in outcomes), 0.03)
        for outcome in outcomes:
            self.assertEqual(outcome.failure, "")
            assert outcome.noticed is not None and outcome.recovered is not None
            self.assertLessEqual(outcome.noticed, outcome.recovered)
            self.assertLess(outcome.recovered, 2.0)

    async def refused(self, dsn: str, patience: float = 10.0) -> str:
        """Return why a drill could not begin."""
        try:
            await self.drill(dsn, patience)
        except NotDrilled as error:
            self.assertNotIn("\n", str(error))
            return str(error)
        raise AssertionError("it began")

    async def test_beside_a_daemon(self) -> None:
        """It recovers from each fault; the daemon beside it keeps its session, hearing nothing."""
        dsn = shared_server().dsn
        _, audience = await self.listening(dsn, probe_interval=0)
        before = backends(dsn)
        told = list(audience.calls)
        await self.drills(dsn)
        self.assertEqual(backends(dsn), before)
        self.assertEqual(audience.calls, told)
        self.assertEqual(drilling(dsn), [])

    async def test_socket(self) -> None:
        """A server on a Unix socket is drilled on TCP."""
        await self.drills(f"{private_server(self, tcp=False).dsn} sslmode=require")

    async def test_several(self) -> None:
        """Of several servers the one that takes the drill's own connection is drilled."""
        dsn = shared_server().dsn
        host, port = address(dsn)
        await self.drills(f"{dsn} host={host},{host} port=1,{port} target_session_attrs=read-write")

    async def test_tls(self) -> None:
        """On TLS the server's certificate is verified, by the name that it has."""
        server, root = self.tls_server()
        place = f"{server} host=localhost hostaddr=127.0.0.1"
        await self.drills(f"{place} sslmode=verify-full sslrootcert={root}")
        text = await self.refused(f"{server} sslmode=verify-full sslrootcert={root}")
        self.assertIn("does not match host name", text)

    def tls_server(self) -> tuple[str, Path]:
        """Return the DSN of a server with a certificate for localhost, and that."""
        binaries = _binaries_with_tls()
        folder = open_folder(self)
        certificate, key = folder / "server.crt", folder / "server.key"
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj"
            f" /CN=localhost -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
        )
        subprocess.run(command.split(), check=True, capture_output=True)
        key.chmod(0o600)
        if os.geteuid() == 0:
            nobody = Account.of("nobody")
            os.chown(key, nobody.uid, nobody.gid)
        settings = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        return private_server(self, binaries=binaries, settings=settings).dsn, certificate

    async def test_password(self) -> None:
        """A password in a password file is found by the server's own port."""
        server = private_server(self)
        execute(server.dsn, "create role app login password 'geheim'")
        (server.data / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all app 127.0.0.1/32 scram-sha-256\n"
        )
        execute(server.dsn, "select pg_reload_conf()")
        host, port = address(server.dsn)
        passfile = Path("passfile").absolute()
        passfile.write_text(f"{host}:{port}:postgres:app:geheim\n")
        passfile.chmod(0o600)
        await self.drills(f"{server.dsn} user=app passfile={passfile}")

    async def test_not_allowed(self) -> None:
        """A role that may terminate nothing is told so; the other faults are tried."""
        server = private_server(self)
        execute(server.dsn, "create role app login")
        execute(server.dsn, "revoke execute on function pg_terminate_backend from public")
        first, *others = await self.drill(f"{server.dsn} user=app")
        self.assertIn("not tried: permission denied", first.failure)
        self.assertEqual([outcome.failure for outcome in others], ["", ""])

    async def test_not_recovered(self) -> None:
        """A server that takes no new connection: none is made good, and it takes its time only."""
        dsn = shared_server().dsn
        proxy = Proxy(self, address(dsn))
        outcomes: list[Outcome] = []

        def refuse(outcome: Outcome) -> None:
            outcomes.append(outcome)
            proxy.stop_forwarding()

        drill = Drill(self.reactor(), through(dsn, proxy.port), 0.7, HASTY)
        self.assertFalse(await drill.run(refuse))
        self.assertEqual([outcome.heard is None for outcome in outcomes], [False, True, True])
        self.assertEqual(outcomes[2].failure, "not in 0.7 s")

    async def test_nobody_there(self) -> None:
        """Without a server it can't begin."""
        text = await self.refused("host=127.0.0.1 port=1 user=me password=geheim")
        self.assertIn("127.0.0.1:1/me as me: ", text)
        self.assertIn("Connection refused", text)
        self.assertNotIn("geheim", text)

    async def test_pooler(self) -> None:
        """Nor can it behind a pooler in transaction mode, where nothing is ever heard."""
        find_pgbouncer()
        pooler = PgBouncer(self, shared_server().dsn, "transaction")
        self.assertIn("a pooler in transaction mode?", await self.refused(pooler.dsn))


def _binaries_with_tls() -> Path:
    able = shutil.which("openssl") is not None
    for config in Path("/usr/lib/postgresql").glob("*/bin/pg_config"):
        found = subprocess.run([config, "--configure"], capture_output=True, text=True, check=False)
        if able and "--with-openssl" in found.stdout and (config.parent / "initdb").exists():
            return config.parent
    raise SkipTest("no PostgreSQL with TLS on this machine, or no openssl to make a certificate")


class CommandTests(CommandTestCase):
    """The command, as it is given."""

    async def test_table(self) -> None:
        """It prints a table, line by line, and ends with 0."""
        command = self.txdoorbell(
            *("drill", "--dsn", shared_server().dsn, "--heartbeat=0.2", "--heartbeat-timeout=0.2")
        )
        self.assertEqual((await command.ends(), command.err), (0, ""))
        heading, *lines = command.out.splitlines()
        self.assertEqual(heading, HEADING)
        self.assertEqual([line[:24].strip() for line in lines], FAULTS)

    async def test_refused(self) -> None:
        """Where it can't begin: status 1, and one line without the password."""
        place = {"PGHOST": "127.0.0.1", "PGPORT": "1", "PGPASSWORD": "geheim"}
        command = self.txdoorbell("drill", environ={**environment(), **place})
        self.assertEqual(await command.ends(), 1)
        self.assertEqual(len(command.err.splitlines()), 1, command.err)
        self.assertIn("txdoorbell drill: 127.0.0.1:1/", command.err)
        self.assertNotIn("geheim", command.err + command.out)

    async def test_interrupted(self) -> None:
        """Ctrl-C ends it at once, with 1, and nothing of it is left at the server."""
        dsn = shared_server().dsn
        command = self.txdoorbell("drill", "--dsn", dsn)
        await command.prints(FAULTS[1])
        command.signal("INT")
        self.assertEqual(await command.ends(5.0), 1)
        self.assertEqual(command.err, "txdoorbell drill: interrupted\n")
        await wait_for("its sessions to be gone", lambda: not drilling(dsn), 5.0)


class UsageTests(SynchronousTestCase):
    """What can be given."""

    def give(self, *arguments: str) -> tuple[object, str, str]:
        """Give a command that ends before it does anything: return its status and what it says."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            error = self.assertRaises(SystemExit, main, ["drill", *arguments])
        return error.code, out.getvalue(), err.getvalue()

    def test_help(self) -> None:
        """The help says what is touched, and has examples."""
        status, out, _ = self.give("--help")
        self.assertEqual(status, 0)
        self.assertIn("Nobody else's session or channel is touched", out)
        self.assertIn("examples:\n  txdoorbell drill\n", out)

    def test_seconds(self) -> None:
        """Seconds are positive."""
        for text in ("0", "-1", "soon", "inf"):
            status, _, err = self.give("--patience", text)
            self.assertEqual((status, err.count("\n")), (2, 1))
            self.assertIn(f"{text!r} is no positive number of seconds", err)
