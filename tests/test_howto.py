"""The pages with commands: what they show is done, in their order, and comes to what they say."""

from __future__ import annotations

import json
import re
import tomllib

import psycopg2
from psycopg2.extensions import parse_dsn
from twisted.trial.unittest import SkipTest

from tests import pages
from tests.poolers import PgBouncer
from tests.readers import ReaderTestCase, like
from tests.servers import execute
from tests.waiting import wait_for
from tests.walservers import logical_server
from txdoorbell.embedded import PostgresServer
from txdoorbell.settling.shape import structure

RINGS = "txdoorbell sql shop.job --channel jobs --apply"
CONFIG = 'channels = ["jobs"]\n[database]\ndsn = "{dsn}"'
FUNCTION = "def process():\n    print('looking for work')\n\n\nsend = process\n"


class HowtoTests(ReaderTestCase):
    """One test for each page that tells how to do something."""

    async def test_readme(self) -> None:
        """The demo runs, and what the command line does is done with a function of one's own."""
        self.save("jobs.py", FUNCTION)
        await self.follow("README.rst")

    async def test_quick_start(self) -> None:
        """A newcomer comes from an empty directory to a function rung by a table of their own."""
        self.directory = self.directory / "txdoorbell"
        self.directory.mkdir()
        await self.follow("docs/quickstart.rst")

    async def test_jobs(self) -> None:
        """Three jobs are done."""
        await self.follow("docs/howto-jobs.rst")

    async def test_outbox(self) -> None:
        """A message is sent, and gone."""
        await self.follow("docs/howto-outbox.rst")

    async def test_cache(self) -> None:
        """A price that changes is seen."""
        await self.follow("docs/howto-cache.rst")

    async def test_periodic(self) -> None:
        """What is due is done, and is due again tomorrow."""
        await self.follow("docs/howto-periodic.rst")
        # It prints before it commits.
        await wait_for("tomorrow", lambda: round(self.days_to_go(), 2) == 1)

    def days_to_go(self) -> float:
        """Return the days until the plan's one row is due."""
        [(ahead,)] = execute(self.dsn, "select next - now() from plan")
        return float(ahead.total_seconds() / 86400)

    async def test_fleet(self) -> None:
        """Who holds a lock runs, and each new holder has another lease."""
        await self.follow("docs/fleet.rst")

    async def test_sql(self) -> None:
        """The commands print what the page shows."""
        await self.follow("docs/sql.rst")

    async def test_sql_operation(self) -> None:
        """A payload of the operation is the one that the page shows."""
        (shown,) = [b.text for b in pages.shown(pages.ROOT / "docs/sql.rst") if b.kind == "json"]
        execute(self.dsn, "create schema shop; create table shop.job (id int primary key)")
        await self.give("txdoorbell sql shop.job --channel jobs --payload operation --apply")
        listener = psycopg2.connect(self.dsn)
        self.addCleanup(listener.close)
        listener.autocommit = True
        listener.cursor().execute("listen jobs")
        execute(self.dsn, "insert into shop.job values (1)")
        await wait_for("the ring", lambda: bool(listener.poll() or listener.notifies))
        self.assertEqual(json.loads(listener.notifies[0].payload), json.loads(shown))


class LookUpTests(ReaderTestCase):
    """The pages in which one looks up a command."""

    def shop(self) -> None:
        """Let there be the modules, and the table, of the pages' shop."""
        self.save("shop/jobs.py", FUNCTION)
        self.save("shop/mail.py", FUNCTION)
        execute(self.dsn, "create schema shop")
        execute(self.dsn, "create table shop.job (id int primary key, state text default 'ready')")

    async def test_commands(self) -> None:
        """Each command does its work."""
        self.shop()
        self.save("jobs.py", FUNCTION)
        self.save("doorbell.toml", 'channels = ["jobs"]\n[[function]]\ncall = "jobs:process"')
        self.before["txdoorbell ring doorbell hello --embedded"] = self.first_try
        self.before["txdoorbell sql --lint"] = lambda: self.give(RINGS)
        await self.follow("docs/commands.rst")

    async def first_try(self) -> None:
        """Let a private PostgreSQL run."""
        server = PostgresServer(self.directory / "doorbell-data")
        server.start()
        self.addCleanup(server.stop, "immediate")

    async def test_status(self) -> None:
        """The page, its command and its actions answer."""
        self.save("jobs.py", FUNCTION)
        self.save("doorbell.toml", 'channels = ["jobs"]')
        at = "--channel jobs --processor jobs:process --status unix:doorbell.sock"
        self.before["txdoorbell status unix"] = lambda: self.start(f"twistd -n doorbell {at}")
        self.before["curl"] = lambda: self.start(self.with_token())
        await self.follow("docs/status.rst")

    def with_token(self) -> str:
        """Return a command that lets ring whoever knows the token."""
        at = f"--status tcp:{self.port}:interface=127.0.0.1 --status-token-file doorbell.token"
        return f"twistd -n doorbell --config doorbell.toml {at}"


class ConfigurationTests(ReaderTestCase):
    """The page on configuration files."""

    database = "shop"

    async def test_configuration(self) -> None:
        """The file can be used, its mistakes are told, and it is read again."""
        self.environ["SHOP_PASSWORD"] = "secret"
        self.save("shop/jobs.py", FUNCTION)
        self.save("shop/mail.py", FUNCTION)
        self.before["twistd -n doorbell --config"] = self.make_mistakes
        self.before["txdoorbell check"] = self.correct
        self.before["kill"] = lambda: self.start("twistd -n doorbell --config doorbell.toml")
        await self.follow("docs/configuration.rst")

    async def make_mistakes(self) -> None:
        """Write the two mistakes that the page shows."""
        self.save("doorbell.toml", '\nintervall = 3\n\n\n\n[[loop]]\n\n\ntimeout = "5 min"')

    async def correct(self) -> None:
        """Write what the page shows at its beginning."""
        for block in pages.shown(pages.ROOT / "docs/configuration.rst"):
            if block.caption == "doorbell.toml":
                self.save(block.caption, block.text)


class DeployingTests(ReaderTestCase):
    """The page on deploying."""

    async def test_log(self) -> None:
        """An error is found by jq in a log of JSON."""
        self.save("broken.py", "def process():\n    raise RuntimeError('no')")
        self.save("doorbell.toml", '[[function]]\ncall = "broken:process"')
        await self.follow("docs/deploying.rst")


class ExampleTests(ReaderTestCase):
    """The page of the example, in whose directory its commands are given."""

    database = "postgres_of_mine"

    async def test_shop(self) -> None:
        """The shop opens, and takes orders."""
        example = pages.ROOT / "docs" / "examples" / "jobs"
        for file in example.iterdir():
            if file.is_file():
                self.save(file.name, file.read_text())
        await self.follow("docs/examples.rst")


class PoolerTests(ReaderTestCase):
    """The page on PgBouncer."""

    async def test_pooler(self) -> None:
        """Its settings let a doorbell hear, and its check tells where one can't."""
        toml, ini, console = self.blocks()
        self.assertEqual(structure(tomllib.loads(toml))[1], [])
        server = parse_dsn(self.dsn)
        own = re.sub(r"host=\S+", f"host=127.0.0.1 port={server['port']} user=postgres", ini)
        pooler = PgBouncer(self, self.dsn, "transaction", databases=own.partition("\n")[2])
        line, *shown = console.splitlines()
        for name, status in (("app", 1), ("app_listen", 0)):
            self.save("doorbell.toml", CONFIG.format(dsn=f"{pooler.dsn} dbname={name}"))
            check = self.sh(line.removeprefix("$ "))
            self.assertEqual(await check.ends(), status, check.out)
            pattern = "\n".join(map(like, shown)) + "\n$"
            self.assertEqual(bool(re.search(pattern, check.out)), bool(status), check.out)

    def blocks(self) -> list[str]:
        """Return the page's three blocks."""
        return [block.text for block in pages.shown(pages.ROOT / "docs/howto-pooler.rst")]


class BellTests(ReaderTestCase):
    """The page on both bells, on a server whose log can be read."""

    def server(self) -> PostgresServer:
        """Return a server of its own: the page makes a role."""
        server = logical_server(self)
        [(version,)] = execute(server.dsn, "select current_setting('server_version_num')::int")
        if version < 150_000:
            raise SkipTest("the page's list of columns needs PostgreSQL 15")
        return server

    async def test_choosing(self) -> None:
        """A table rings, so do messages, and a role without privileges reads."""
        self.before["psql"] = self.before["txdoorbell ring"] = self.log_is_read
        await self.follow("docs/choosing-a-bell.rst")

    async def log_is_read(self) -> None:
        """Wait for the second bell: what is followed goes on with the first one."""
        program = self.running[-1]
        await wait_for("the log to be read", lambda: "the log is read by" in program.out, 20)


class PerformanceTests(ReaderTestCase):
    """The page on performance."""

    async def test_bench(self) -> None:
        """It is known how; to do it takes half an hour."""
        await self.follow("docs/performance.rst")
