"""Connection strings: what libpq adds, what is shown, and what never is."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import psycopg2
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.servers import shared_server
from txdoorbell.listening.dsn import Dsn, Endpoint, check_dsn

ME = pwd.getpwuid(os.geteuid()).pw_name


class DsnTestCase(SynchronousTestCase):
    """Tests with an environment of their own."""

    def dsn(self, text: str = "", **environ: str) -> Dsn:
        """Return a DSN in a world with nothing but this environment."""
        nowhere = str(Path.cwd() / "nowhere")
        return Dsn(text, {"PGSERVICEFILE": nowhere, "PGSYSCONFDIR": nowhere, **environ})

    def service_file(self, text: str) -> str:
        """Write a service file, and return its path."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)


class DescriptionTests(DsnTestCase):
    """What log lines show of it."""

    def test_descriptions(self) -> None:
        """Host, port, database and user, from wherever they come."""
        for text, environ, expected in (
            ("", {}, f"local:5432/{ME} as {ME}"),
            ("dbname=app", {}, f"local:5432/app as {ME}"),
            ("user=ann", {}, "local:5432/ann as ann"),
            ("host=db port=5433 dbname=app user=ann", {}, "db:5433/app as ann"),
            ("postgresql://ann@db:5433/app", {}, "db:5433/app as ann"),
            ("postgres://ann:pw@[::1]:5433/app", {}, "[::1]:5433/app as ann"),
            ("postgresql:///app?host=/tmp&user=ann", {}, "/tmp:5432/app as ann"),
            ("host=a,b port=1,2 user=ann", {}, "a:1,b:2/ann as ann"),
            ("host=a,b port=7 user=ann", {}, "a:7,b:7/ann as ann"),
            ("hostaddr=10.0.0.1 user=ann", {}, "10.0.0.1:5432/ann as ann"),
            ("user=ann", {"PGHOST": "db", "PGPORT": "1"}, "db:1/ann as ann"),
            ("host=x", {"PGHOST": "db", "PGUSER": "bob", "PGDATABASE": "app"}, "x:5432/app as bob"),
            ("dbname=app user='a b'", {}, "local:5432/app as a b"),
        ):
            self.assertEqual(self.dsn(text, **environ).description, expected, text)

    def test_repr(self) -> None:
        """Its representation is the description."""
        dsn = self.dsn("postgresql://ann:secret@db/app")
        self.assertEqual(repr(dsn), "<Dsn db:5432/app as ann>")

    def test_service(self) -> None:
        """A service's settings stand between the DSN's own and the environment's."""
        path = self.service_file(
            "# ours\n[other]\nhost=wrong\n\n[app]\nhost=db\nport=5433\ndbname=app\nuser=ann\n[x]\n"
        )
        where = {"PGSERVICEFILE": path, "PGHOST": "environment", "PGUSER": "environment"}
        self.assertEqual(self.dsn("service=app", **where).description, "db:5433/app as ann")
        self.assertEqual(
            self.dsn("port=1", PGSERVICE="app", **where).description, "db:1/app as ann"
        )

    def test_service_of_the_system(self) -> None:
        """A service that the user's file lacks is looked for in the system's."""
        path = Path(self.service_file("[app]\nhost=db\n"))
        folder = path.with_suffix(".d")
        folder.mkdir()
        path.rename(folder / "pg_service.conf")
        dsn = self.dsn("service=app user=ann", PGSYSCONFDIR=str(folder))
        self.assertEqual(dsn.description, "db:5432/ann as ann")

    def test_unknown_service(self) -> None:
        """A service that isn't found is left to libpq, which says so when it connects."""
        dsn = self.dsn("service=none user=ann")
        self.assertEqual(dsn.description, "local:5432/ann as ann")
        self.assertEqual(dsn.parameters()["service"], "none")


class ParameterTests(DsnTestCase):
    """What libpq is given."""

    def test_keepalives(self) -> None:
        """TCP is told to find dead peers, unless the DSN or its service says otherwise."""
        parameters = self.dsn("dbname=app").parameters()
        self.assertEqual((parameters["keepalives"], parameters["keepalives_count"]), ("1", "3"))
        self.assertIn("tcp_user_timeout", parameters)
        self.assertEqual(self.dsn("keepalives_idle=99").parameters()["keepalives_idle"], "99")
        path = self.service_file("[app]\nkeepalives_idle=99\n")
        parameters = self.dsn("service=app", PGSERVICEFILE=path).parameters()
        self.assertNotIn("keepalives_idle", parameters)

    def test_application_name(self) -> None:
        """The server is told a name, which any other, from the environment too, goes before."""
        self.assertEqual(self.dsn().parameters()["fallback_application_name"], "txdoorbell")

    def test_understood_by_libpq(self) -> None:
        """Libpq takes all of it, and the server shows the name that the DSN gives."""
        for extra, name in (("", "txdoorbell"), (" application_name=mine", "mine")):
            parameters: dict[str, Any] = {**Dsn(shared_server().dsn + extra).parameters()}
            connection = psycopg2.connect(**parameters)
            self.addCleanup(connection.close)
            with connection.cursor() as cursor:
                cursor.execute("show application_name")
                self.assertEqual(cursor.fetchone(), (name,))

    def test_a_fresh_dict(self) -> None:
        """The caller may do with it what it likes."""
        dsn = self.dsn()
        dsn.parameters().clear()
        self.assertTrue(dsn.parameters())


class EndpointTests(DsnTestCase):
    """The servers, as libpq splits its lists."""

    def test_lookups(self) -> None:
        """Names need a lookup; addresses, sockets and what has a hostaddr don't."""
        for host, hostaddr, expected in (
            ("db.example", "", True),
            ("localhost", "", True),
            ("", "", False),
            ("10.0.0.1", "", False),
            ("::1", "", False),
            ("fe80::1%eth0", "", False),
            ("/var/run/postgresql", "", False),
            ("@abstract", "", False),
            ("db.example", "10.0.0.1", False),
        ):
            self.assertEqual(Endpoint(host, hostaddr, "1").needs_lookup, expected, host)

    def test_lists(self) -> None:
        """Hosts, addresses and ports belong together by their places."""
        self.assertEqual(
            self.dsn("host=a,/tmp,c hostaddr=,,10.0.0.3 port=1,,3").endpoints(),
            [Endpoint("a", "", "1"), Endpoint("/tmp", "", "5432"), Endpoint("c", "10.0.0.3", "3")],
        )
        self.assertEqual(
            self.dsn("hostaddr=10.0.0.1,10.0.0.2").endpoints(),
            [Endpoint("", "10.0.0.1", "5432"), Endpoint("", "10.0.0.2", "5432")],
        )


class WrongTests(DsnTestCase):
    """What can't be parsed, and how that is said."""

    def complaint(self, text: object) -> str:
        """Return what is said of a DSN, in one line."""
        error = self.assertRaises(ValueError, check_dsn, text)
        self.assertRegex(str(error), r"\ADSN: [^\n]+\Z")
        return str(error)

    def test_right(self) -> None:
        """What can be parsed is right, wherever it leads."""
        for text in ("", "host=nowhere", "postgresql://", "dbname = 'a b'\n port=1"):
            check_dsn(text)

    def test_culprits(self) -> None:
        """The culprit is named, where it can't be part of a password."""
        for text, culprit in (
            ("dbname=app hots=db", '"hots"'),
            ("hots=db password=secret", '"hots"'),
            ("postgresql://ann:secret@db/app?hots=1", '"hots"'),
            ("app", '"app"'),
            ("host='db", "unterminated"),
            ("port=abc", "port"),
            ("port=0", "port"),
            ("port=1,65536", "port"),
            ("host=a@b", "host"),
            ("dbname=postgresql://db/app", "dbname"),
            ("dbname=app\0host=db", "NUL"),
            ("dbname=\ud800", "encoded"),
            (b"dbname=app", "bytes"),
        ):
            self.assertIn(culprit, self.complaint(text))

    def test_passwords(self) -> None:
        """However badly a password is written, none of it is said."""
        for text in (
            "password=se secret",
            "password=se secret=1",
            "password='it's secret'",
            "Password = secret",
            "dbname=app sslpassword=x secret",
            "postgresql://ann:se%cret@db/app",
            "postgresql://ann:x/secret@db/app",
            "postgresql://ann:1/secret@db/app",
            "postgresql://ann:x@secret@db/app",
            "postgresql://ann:x@secret:1@db/app",
            "postgresql://ann@corp:secret@db/app",
            "postgresql://ann:secret@db:x/app",
            "postgresql://db/app?password=%secret",
            "postgres:ann:secret@db/app",
            "dbname=postgresql://ann:secret@db/app",
            "dbname='host=db password=secret'",
            "host=secret@db",
        ):
            self.assertNotIn("cret", self.complaint(text), text)


class ConcealTests(DsnTestCase):
    """Passwords in the texts of others."""

    def test_conceal(self) -> None:
        """A password is taken out, wherever it was given."""
        text = 'FATAL: database "x" of ann: sesame'
        for dsn in (
            self.dsn("password=sesame"),
            self.dsn("postgresql://ann:sesame@db"),
            self.dsn("sslpassword=sesame"),
            self.dsn(PGPASSWORD="sesame"),
            self.dsn("service=app", PGSERVICEFILE=self.service_file("[app]\npassword=sesame\n")),
        ):
            self.assertEqual(dsn.conceal(text), 'FATAL: database "x" of ann: ***')

    def test_what_looks_like_one(self) -> None:
        """So is what looks like one: a URI's user and password, and whatever follows password=."""
        for text, expected in (
            ('database "postgresql://ann:se@same@db/app"', 'database "postgresql://***@db/app"'),
            ("password=sesame dbname=x", "password=*** dbname=x"),
            ("password = 'open \\' sesame' x", "password = *** x"),
            ("https://docs/x?a=1", "https://docs/x?a=1"),
            ('password authentication failed for user "ann"',) * 2,
        ):
            self.assertEqual(self.dsn().conceal(text), expected)

    def test_no_secret(self) -> None:
        """A password that is the user's name too is no reason to blot out that."""
        dsn = self.dsn("user=app dbname=app password=app")
        self.assertEqual(dsn.conceal('role "app"'), 'role "app"')
        self.assertEqual(self.dsn("password=a").conceal("a database"), "*** database")

    @example("5432")
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\0'\\"), min_size=1))
    def test_any_password(self, password: str) -> None:
        """Whatever the password is, the description and the representation are the same."""
        dsn = self.dsn(f"host=h dbname=d user=u password='{password}'")
        self.assertEqual((dsn.description, repr(dsn)), ("h:5432/d as u", "<Dsn h:5432/d as u>"))
