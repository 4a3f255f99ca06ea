"""``twistd doorbell``: its options, what is wrong with them, and the service they make."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from psycopg2.extensions import parse_dsn
from twisted.application.service import MultiService
from twisted.python.usage import Options as TwistdOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.commands import CommandTestCase, environment
from tests.servers import execute, shared_server
from txdoorbell import tap
from txdoorbell.doorbell import Doorbell
from txdoorbell.process.housing import Housing
from txdoorbell.process.sample import Sample
from txdoorbell.settling.settings import Database, Settings


def process() -> None:
    """Do nothing, as a processing function."""


def other() -> None:
    """Do nothing, as another one."""


class OptionsTests(SynchronousTestCase):
    """What can be given, and what is refused."""

    def setUp(self) -> None:
        """Let changes of Python's path end with each test."""
        self.patch(sys, "path", list(sys.path))

    def parse(self, *arguments: str) -> tap.Options:
        """Parse options, of which one says where to connect."""
        options = tap.Options()
        options.parseOptions(["--dsn", "dbname=app", *arguments])
        return options

    def refused(self, *arguments: str) -> str:
        """Return what is said of options that are refused."""
        error = self.assertRaises(UsageError, tap.Options().parseOptions, arguments)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_defaults(self) -> None:
        """One channel, a minute between two casts of the safety net, no function."""
        options = self.parse()
        self.assertEqual(options["channel"], ["doorbell"])
        self.assertEqual(options["interval"], 60.0)
        self.assertEqual(options["processor"], [])
        self.assertIsNone(options["embedded"])
        self.assertEqual(options["table"], [])
        for name in ("lock", "max-loops", "host", "hosts"):
            self.assertIsNone(options[name])
        self.assertEqual(options["plan"].settings, Settings(database=Database(dsn="dbname=app")))

    def test_first_try(self) -> None:
        """No option at all is the first try."""
        options = tap.Options()
        options.parseOptions([])
        self.assertEqual(options["embedded"], Path("doorbell-data"))

    def test_environment(self) -> None:
        """One option without --dsn is no first try: libpq's environment says where."""
        options = tap.Options()
        options.parseOptions(["--channel", "jobs"])
        self.assertIsNone(options["embedded"])
        self.assertIsNone(options["dsn"])

    def test_dsn(self) -> None:
        """The DSN is taken as it is."""
        self.assertEqual(self.parse()["dsn"], "dbname=app")

    def test_channels(self) -> None:
        """Each --channel is one more."""
        options = self.parse("--channel", "jobs", "--channel", "Mail")
        self.assertEqual(options["channel"], ["jobs", "Mail"])

    def test_channel_refused(self) -> None:
        """A channel that PostgreSQL would not take whole is refused, with the limit."""
        self.assertIn("--channel: channel '' is empty", self.refused("--channel", ""))
        self.assertIn(
            "64 bytes of UTF-8, over the limit of 63", self.refused("--channel=" + 64 * "x")
        )
        self.assertIn("can't be encoded", self.refused("--channel", "\udcff"))

    def test_processors(self) -> None:
        """Each --processor is one more."""
        options = self.parse(f"--processor={__name__}:process", "--processor", f"{__name__}:other")
        self.assertEqual(options["processor"], [process, other])

    def test_processor_refused(self) -> None:
        """A function that can't be imported is refused; see test_load for each reason."""
        self.assertIn("no module surely_missing", self.refused("--processor=surely_missing:run"))
        self.assertIn("has no proces;", self.refused(f"--processor={__name__}:proces"))
        self.assertIn("can't be called", self.refused("--processor=os:sep"))

    def test_interval(self) -> None:
        """The interval is a number of seconds, 0 for never."""
        self.assertEqual(self.parse("--interval", "7.5")["interval"], 7.5)
        self.assertEqual(self.parse("--interval=0")["interval"], 0.0)

    def test_interval_refused(self) -> None:
        """Anything else is refused."""
        for text in ("-1", "soon", "inf", "nan", ""):
            self.assertIn(f"--interval: {text!r}", self.refused("--interval", text))

    def test_lock(self) -> None:
        """With --lock the one loop has a lock."""
        (loop,) = self.parse("--lock", "billing")["plan"].settings.loop
        self.assertEqual((loop.name, loop.lock), ("loop", "billing"))
        self.assertEqual(self.parse()["plan"].locks, ())

    def test_lock_refused(self) -> None:
        """A lock has a name."""
        for name in ("", " ", "a\nb"):
            self.assertEqual(self.refused("--lock", name), f"--lock: expected a name, not {name!r}")
        self.assertIn("has 1001 bytes of UTF-8", self.refused("--lock", 1001 * "x"))

    def test_numbers(self) -> None:
        """The most loops that are taken, and how many hosts there are, are numbers from 1."""
        settings = self.parse("--max-loops=3", "--hosts=40")["plan"].settings
        self.assertEqual((settings.max_loops, settings.hosts), (3, 40))
        for option in ("--max-loops", "--hosts"):
            for text in ("0", "-1", "many", "1.5", ""):
                said = self.refused(option, text)
                self.assertEqual(said, f"{option}: {text!r} is no whole number from 1")

    def test_host(self) -> None:
        """A host may be given a name."""
        self.assertEqual(self.parse("--host=anna")["plan"].settings.host, "anna")
        self.assertEqual(self.refused("--host="), "--host: expected a name, not ''")

    def test_tables(self) -> None:
        """Each --table is one more."""
        options = self.parse("--table", "jobs", "--table", 'shop."My Mail"', "--table", '"jobs"')
        self.assertEqual(options["plan"].settings.tables, ("jobs", 'shop."My Mail"'))

    def test_table_refused(self) -> None:
        """What SQL could not read is no table."""
        self.assertIn("--table: table 'a b' is no name", self.refused("--table", "a b"))
        self.assertIn("--table: table '' is no name", self.refused("--table="))
        self.assertIn("over 63", self.refused("--table", 64 * "x"))

    def test_embedded(self) -> None:
        """The directory of the private PostgreSQL is a path."""
        options = tap.Options()
        options.parseOptions(["--embedded", "data"])
        self.assertEqual(options["embedded"], Path("data"))

    def test_embedded_refused(self) -> None:
        """A directory that holds other things is refused, and so is one that can't be read."""
        self.assertIn("not empty", self.refused("--embedded", str(Path(__file__).parent)))
        self.assertIn(": File name too long", self.refused("--embedded", 300 * "x"))
        self.assertIn("exclude each other", self.refused("--embedded=x", "--dsn=dbname=app"))

    def test_dsn_refused(self) -> None:
        """A malformed DSN is refused, without the password in it."""
        self.assertIn('missing "=" after "nonsense"', self.refused("--dsn", "nonsense"))
        for dsn in ("postgresql://me:geheim@host:x/db", "password=geheim nonsense", "x='geheim"):
            text = self.refused("--dsn", dsn)
            self.assertIn("--dsn: ", text)
            self.assertNotIn("geheim", text)

    def test_unquoted_dsn(self) -> None:
        """A DSN without quotes around it is recognised, and what may be a password isn't shown."""
        text = self.refused("--dsn", "host=db", "password=ge", "heim")
        self.assertIn("password=... ... (a value with spaces needs quotes around it)", text)

    def test_stray_word(self) -> None:
        """A word that is no option is named."""
        self.assertEqual(self.refused("jobs"), "not understood: jobs")

    def test_unknown(self) -> None:
        """An option that there isn't is named, but not its value."""
        self.assertIn("--nonsense", self.refused("--nonsense=geheim"))
        self.assertNotIn("geheim", self.refused("--nonsense=geheim"))

    def test_as_a_part_of_twistd(self) -> None:
        """Given to twistd, they end it with the one line, in place of printing all its help."""
        options = tap.Options()
        options.parent = TwistdOptions()
        error = self.assertRaises(SystemExit, options.parseOptions, ["--interval=x"])
        self.assertTrue(str(error).startswith("twistd doorbell: --interval: 'x'"), error)

    def test_config(self) -> None:
        """A file takes the place of the options that say the same."""
        path = Path(self.mktemp())
        path.write_text(f'channels = ["jobs"]\n[[function]]\ncall = "{__name__}:process"\n')
        options = tap.Options()
        options.parseOptions(["--config", str(path)])
        self.assertEqual(options["plan"].settings.channels, ("jobs",))
        fleet = ("--lock=x", "--max-loops=1", "--host=x", "--hosts=1")
        excluded = ("--dsn=", "--channel=x", "--table=x", "--interval=0", "--embedded=x", *fleet)
        for given in excluded:
            said = self.refused("--config", str(path), given)
            self.assertEqual(said, f"--config and {given.partition('=')[0]} exclude each other")

    def test_log_format(self) -> None:
        """The log is text or JSON."""
        self.assertEqual(self.parse()["log-format"], "text")
        self.assertEqual(self.parse("--log-format=json")["log-format"], "json")
        self.assertIn("'xml' is neither text nor json", self.refused("--log-format=xml"))

    def test_help(self) -> None:
        """The help has every option, and examples."""
        text = str(tap.Options())
        bell = ("--dsn", "--channel", "--table", "--processor", "--interval", "--embedded")
        for option in (*bell, "--lock", "--max-loops", "--host", "--hosts", "--config"):
            self.assertIn(f"{option}=", text)
        self.assertIn("Examples:\n  twistd -n doorbell\n", text)


class ServiceTests(SynchronousTestCase):
    """What is made of the options."""

    def make(self, *arguments: str) -> MultiService:
        """Make the service, and don't start it."""
        options = tap.Options()
        options.parseOptions(arguments)
        made = tap.makeService(options)
        assert isinstance(made, MultiService)
        return made

    def make_doorbell(self, *arguments: str) -> Doorbell:
        """Make a service on a PostgreSQL that is somewhere else."""
        made = self.make("--dsn=host=db.example.org password=geheim", *arguments)
        assert isinstance(made, Doorbell)
        return made

    def test_doorbell(self) -> None:
        """The doorbell has the options' values."""
        bell = self.make_doorbell(
            "--channel=jobs", "--interval=7", f"--processor={__name__}:process"
        )
        self.assertEqual(bell.channels, {"jobs"})
        self.assertEqual(bell.interval, 7.0)
        self.assertEqual(bell.loop.get_processors(), [process])
        self.assertIn("db.example.org", repr(bell.listener))

    def test_no_processor(self) -> None:
        """Without a function the sample runs, which prints what rings."""
        (only,) = self.make_doorbell().loop.get_processors()
        self.assertIsInstance(only, Sample)

    def test_embedded(self) -> None:
        """A private PostgreSQL is started before the doorbell, which listens there."""
        housing = self.make("--embedded=data")
        self.assertIsInstance(housing, Housing)
        (bell,) = housing
        self.assertIn(str(Path("data").absolute()), repr(bell.listener))


class MemoryTests(SynchronousTestCase):
    """What a process does not hold because it wasn't asked for."""

    unneeded = (
        "twisted.web.http",
        "txdoorbell.embedded",
        "txdoorbell.process.jsonlog",
        "txdoorbell.settling.reload",
        "txdoorbell.status.access",
        "cattrs",
        "prometheus_client",
    )

    def test_imports(self) -> None:
        """A doorbell that has no page, no file and no server of its own imports none of that."""
        code = (
            "import sys; from txdoorbell import tap; options = tap.Options(); "
            "options.parseOptions(['--channel=jobs']); tap.makeService(options); "
            f"print([name for name in {self.unneeded} if name in sys.modules])"
        )
        path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env=environ, check=True
        )
        self.assertEqual(told.stdout.strip(), b"[]", told.stderr)


class TwistdTests(CommandTestCase):
    """Bad input, as its user sees it: one line on stderr, and a status that isn't 0."""

    async def test_config(self) -> None:
        """A file with mistakes: a line for each."""
        (self.directory / "bell.toml").write_text('interval = "x"\n[database]\nport = 5432\n')
        command = self.twistd("-n", "doorbell", "--config", "bell.toml")
        self.assertEqual(await command.ends(), 1)
        self.assertEqual(command.out, "")
        first, second = command.err.splitlines()
        self.assertIn("bell.toml, line 1: interval: expected a number of seconds", first)
        self.assertIn("bell.toml, line 3: database.port: there is no such key", second)
        self.assertTrue(second.startswith("twistd doorbell: "), second)

    async def test_unknown_option(self) -> None:
        """An unknown option."""
        await self.refused(self.twistd("-n", "doorbell", "--nonsense"), 1, "--nonsense")

    async def test_channel(self) -> None:
        """A channel that is too long."""
        command = self.twistd("-n", "doorbell", "--channel", "x" * 64)
        await self.refused(command, 1, "64 bytes")

    async def test_processor(self) -> None:
        """A function whose module imports one that is missing."""
        (self.directory / "jobs.py").write_text("import surely_not_installed\n")
        command = self.twistd("-n", "doorbell", "--processor", "jobs:process")
        await self.refused(command, 1, "No module named 'surely_not_installed'")

    async def test_as_documented(self) -> None:
        """The page on the commands shows a mistake, and what is said of it."""
        page = Path(tap.__file__).resolve().parent.parent / "docs" / "commands.rst"
        if not page.exists():
            raise SkipTest("this is an installed txdoorbell")
        lines = [line.strip() for line in page.read_text().splitlines()]
        answer = next(line for line in lines if line.startswith("twistd doorbell: "))
        given = lines[lines.index(answer) - 1].removeprefix("$ twistd ")
        (self.directory / "jobs.py").write_text("def process():\n    pass\n")
        command = self.twistd(*given.split())
        await self.refused(command, 1, answer)

    async def test_dsn(self) -> None:
        """A malformed DSN."""
        command = self.twistd("-n", "doorbell", "--dsn", "postgresql://me:geheim@db:port/app")
        await self.refused(command, 1, "--dsn: ")
        self.assertNotIn("geheim", command.err)

    async def test_driver_missing(self) -> None:
        """Without psycopg2: the extras that bring it."""
        (self.directory / "psycopg2.py").write_text(
            "raise ModuleNotFoundError(\"No module named 'psycopg2'\", name='psycopg2')\n"
        )
        path = os.pathsep.join([str(self.directory.absolute()), environment()["PYTHONPATH"]])
        command = self.twistd("-n", "doorbell", environ={**environment(), "PYTHONPATH": path})
        await self.refused(command, 1, "pip install 'txdoorbell[binary]'")

    async def test_refused_connection(self) -> None:
        """A server that isn't there is no bad input: one line, and on it goes."""
        dsn = "host=127.0.0.1 port=1 user=me password=geheim"
        command = self.twistd("-n", "doorbell", "--dsn", dsn)
        await command.prints("is waiting: ")
        command.signal("TERM")
        await command.ends()
        self.assertEqual(command.out.count("is waiting: "), 1)
        self.assertNotIn("geheim", command.out + command.err)

    async def test_environment(self) -> None:
        """The environment that libpq knows says where, and the password in it is not shown."""
        server = parse_dsn(shared_server().dsn)
        place: Any = {"PGHOST": server["host"], "PGPORT": server["port"], "PGUSER": server["user"]}
        place |= {"PGDATABASE": server["dbname"], "PGPASSWORD": "geheim"}
        command = self.twistd(
            *("-n", "doorbell", "--channel", "jobs"), environ={**environment(), **place}
        )
        await command.prints("is listening")
        execute(shared_server().dsn, "notify jobs, 'seven'")
        await command.prints("'jobs' rang: payload 'seven', sent by pid ")
        command.signal("INT")
        await command.ends()
        self.assertNotIn("geheim", command.out + command.err)


class ResignTests(CommandTestCase):
    """A service that gives up for good."""

    async def test_status(self) -> None:
        """The process ends, with a status by which a supervisor knows."""
        (self.directory / "app.tac").write_text(
            "from twisted.application.service import Application\n"
            "from twisted.internet import reactor\n"
            "from txdoorbell import Doorbell\n"
            "from txdoorbell.process.exitstatus import exit_when_resigned\n"
            "application = Application('app')\n"
            "bell = Doorbell(reactor, 'host=127.0.0.1 port=1', give_up_after=0.1)\n"
            "bell.setServiceParent(application)\n"
            "exit_when_resigned(reactor, bell)\n"
        )
        command = self.twistd("-ny", "app.tac")
        self.assertEqual(await command.ends(), 1, command.out)
        self.assertIn("resigns", command.out)
        self.assertFalse((self.directory / "twistd.pid").exists())

    async def test_flushed(self) -> None:
        """What was printed before is not lost."""
        script = (
            "from txdoorbell.process.exitstatus import exit_with; print('last words'); exit_with(7)"
        )
        command = self.shell(f'{sys.executable} -c "{script}"')
        self.assertEqual(await command.ends(), 7)
        self.assertEqual(command.out, "last words\n")
