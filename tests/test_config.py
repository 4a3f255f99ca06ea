"""Configuration files: what they come to, and what is said of those that won't do."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from psycopg2.extensions import parse_dsn
from twisted.trial.unittest import SynchronousTestCase

from tests.config_functions import other, process, wants
from txdoorbell.config import ConfigError, read_config
from txdoorbell.settling.credentials import with_password
from txdoorbell.settling.functions import Plan
from txdoorbell.settling.settings import Settings

HERE = "tests.config_functions"


class ConfigTestCase(SynchronousTestCase):
    """Reads files that the tests write."""

    def read(self, text: str, **environ: str) -> Plan:
        """Read a file that nobody else can."""
        path = self.write(text)
        return read_config(path, environ)

    def write(self, text: str, mode: int = 0o600) -> Path:
        """Write a file."""
        path = Path(self.mktemp()).with_suffix(".toml")
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def refused(self, text: str, **environ: str) -> list[str]:
        """Return what is said of a file, without its name."""
        path = self.write(text)
        error = self.assertRaises(ConfigError, read_config, path, environ)
        for line in error.problems:
            self.assertNotIn("\n", line)
            self.assertTrue(line.startswith(str(path)), line)
        return [line.removeprefix(str(path)).removeprefix(", ") for line in error.problems]

    def only(self, text: str, **environ: str) -> str:
        """Return the one thing that is said of a file."""
        (line,) = self.refused(text, **environ)
        return line


class GoodTests(ConfigTestCase):
    """Files that can be used."""

    def test_empty(self) -> None:
        """An empty file is the defaults, with a word about what it lacks."""
        config = self.read("")
        self.assertEqual(config.settings, Settings())
        (warning,) = config.warnings
        self.assertIn("there is no [[function]]: nothing will run", warning)

    def test_whole(self) -> None:
        """Every part of a file arrives."""
        config = self.read(
            'channels = ["jobs", "mail"]\ninterval = 7\nidle_timeout = 5\n'
            f'on_idle = "{HERE}:other"\nstop_channel = "stop"\nstatus = "tcp:8765"\n'
            '[database]\ndsn = "dbname=app"\nheartbeat = 3\n[probe]\ninterval = 9.5\n'
            '[retry]\nmaximum = 4\ngive_up_after = 300\n[[loop]]\nname = "mail"\ntimeout = 60\n'
            f'[[function]]\ncall = "{HERE}:process"\nchannels = ["outbox"]\npriority = 2\n'
            f'interested = "{HERE}:wants"\nretry = false\n'
        )
        settings = config.settings
        self.assertEqual(settings.channels, ("jobs", "mail"))
        self.assertEqual(settings.interval, 7.0)
        self.assertEqual((settings.stop_channel, settings.status), ("stop", "tcp:8765"))
        self.assertEqual((settings.database.dsn, settings.database.heartbeat), ("dbname=app", 3.0))
        self.assertEqual((settings.probe.interval, settings.retry.maximum), (9.5, 4.0))
        self.assertEqual((settings.loop[0].name, settings.loop[0].timeout), ("mail", 60.0))
        self.assertIs(config.on_idle, other)
        (function,) = config.functions
        self.assertEqual((function.loop, function.processor), ("mail", process))
        self.assertEqual(
            dict(function.options),
            {"channels": ("outbox",), "interested": wants, "priority": 2, "retry": False},
        )
        self.assertEqual(config.warnings, ())

    def test_variables(self) -> None:
        """The environment's values stand where they are asked for, in any text."""
        config = self.read(
            'channels = ["${APP}_jobs", "$${x}", "$5"]\n[database]\npassword = "${PW}"\n',
            APP="shop",
            PW="""ge'he\\im "x" ${y}""",
        )
        self.assertEqual(config.settings.channels, ("shop_jobs", "${x}", "$5"))
        self.assertEqual(config.settings.database.password, """ge'he\\im "x" ${y}""")

    def test_password(self) -> None:
        """Any password arrives in any DSN."""
        for password in ("geheim", "a b", "it's", "back\\slash", "ü=@:/%"):
            for dsn in ("", "dbname=app host=db", "postgresql://me@db:5433/app"):
                parsed = parse_dsn(with_password(dsn, password))
                self.assertEqual(parsed, {**parse_dsn(dsn), "password": password})

    def test_handler(self) -> None:
        """A handler object is taken as it is; it says itself what rings it."""
        config = self.read(f'[[function]]\ncall = "{HERE}:handler"\nblocking = false\n')
        (function,) = config.functions
        self.assertTrue(function.is_handler)
        self.assertEqual(function.options, (("blocking", False),))
        said = self.only(f'[[function]]\ncall = "{HERE}:handler"\npriority = 1\n')
        self.assertIn("line 3: function[0].priority: ", said)
        self.assertIn("is a handler object, which says that itself", said)

    def test_no_cattrs(self) -> None:
        """Who has no file pays nothing for the validation."""
        code = "import sys, txdoorbell.tap; print('cattrs' in sys.modules)"
        path = {"PYTHONPATH": ":".join(str(Path(entry).absolute()) for entry in sys.path if entry)}
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env=path, check=True
        )
        self.assertEqual(told.stdout.strip(), b"False", told.stderr)


class ExposedTests(ConfigTestCase):
    """A password in a file that anyone can read."""

    def warnings(self, text: str, mode: int = 0o644) -> str:
        """Return what is said of the file, which does not show the password."""
        path = self.write(f'{text}\n[[function]]\ncall = "os:getpid"\n', mode)
        said = "\n".join(read_config(path, {"PW": "geheim"}).warnings)
        self.assertNotIn("geheim", said)
        return said

    def test_warned(self) -> None:
        """It is said, wherever the password is."""
        for database in (
            'password = "geheim"',
            'password = "geheim${PW}"',
            'dsn = "dbname=app password=geheim"',
            'dsn = "postgresql://me:geheim@db/app"',
            "dsn = \"password='${PW}geheim'\"",
        ):
            said = self.warnings(f"[database]\n{database}")
            self.assertIn("anyone can read it, and it holds a password: chmod o-r", said)

    def test_not_warned(self) -> None:
        """All is well with one from the environment, or in a file of one's own."""
        for database in (
            'password = "${PW}"',
            "dsn = \"password='${PW}'\"",
            'dsn = "postgresql://me:${PW}@db/app"',
            'dsn = "dbname=app"',
        ):
            self.assertEqual(self.warnings(f"[database]\n{database}"), "")
        self.assertEqual(self.warnings('[database]\npassword = "geheim"', mode=0o640), "")
        self.assertFalse(0o640 & stat.S_IROTH)


class BadTests(ConfigTestCase):
    """Files that can't be used."""

    def test_all_at_once(self) -> None:
        """Whatever is wrong with a file is told at once: a line for each, with its place."""
        said = self.refused(
            'channels = ["jobs", 3]\ninterval = "60"\nintervall = 7\ndsn = "dbname=x"\n'
            '[database]\ndsn = "host=x pasword=geheim"\npassword = "${NO_SUCH}"\nheartbeat = -1\n'
            '[[loop]]\nname = "mail"\nstuck = "restart"\n[[loop]]\nname = "mail"\n'
            '[[function]]\ncall = "os:getpid"\nloop = "mial"\ntimeot = 3\n[[function]]\n'
            'loop = "mail"\n[[function]]\ncall = "os:getpi"\ninterested = "os:sep"\n'
            "[retry]\ninitial = 40\n"
        )
        expected = [
            'line 1: channels: expected names of channels, such as ["jobs", "mail"], not',
            "line 2: interval: expected a number of seconds, 0 or more, not '60'",
            "line 3: intervall: there is no such key; did you mean interval?",
            "line 4: dsn: there is no such key here; did you mean database.dsn?",
            'line 6: database.dsn: invalid connection option "pasword"',
            "line 7: database.password: the environment variable NO_SUCH is not set",
            "line 8: database.heartbeat: expected a number of seconds, 0 or more, not -1",
            'line 11: loop[0].stuck: expected "wait" or "resign", not \'restart\'',
            "line 13: loop[1].name: loop[0] has the name mail already",
            "line 16: function[0].loop: there is no loop mial; did you mean mail?",
            "line 17: function[0].timeot: there is no such key; did you mean timeout?",
            "line 18: function[1].call: it is missing; expected MODULE:NAME",
            "line 21: function[2].call: os:getpi: module os has no getpi; did you mean getpid?",
            "line 22: function[2].interested: os:sep: it can't be called",
            "line 24: retry.initial: it must not be more than retry.maximum",
        ]
        self.assertEqual(len(said), len(expected), "\n".join(said))
        for line, beginning in zip(said, expected, strict=True):
            self.assertTrue(line.startswith(beginning), f"{line}\n{beginning}")
        self.assertNotIn("geheim", "\n".join(said))

    def test_syntax(self) -> None:
        """What is no TOML is refused with its line."""
        self.assertTrue(self.only("interval = 7\nchannels\n").startswith("line 2: Expected '='"))
        self.assertTrue(self.only("a = 1\n\nb = '''\n").startswith("line 3: Expected"))
        self.assertIn("line 2: Cannot overwrite a value", self.only("a = 1\na = 2\n"))

    def test_unreadable(self) -> None:
        """A file that isn't there, or is no text, is refused."""
        missing = Path(self.mktemp())
        error = self.assertRaises(ConfigError, read_config, missing, {})
        self.assertEqual(error.problems, [f"{missing}: No such file or directory"])
        path = self.write("")
        path.write_bytes(b"a = 1\nb = '\xff'\n")
        error = self.assertRaises(ConfigError, read_config, path, {})
        self.assertEqual(error.problems, [f"{path}, line 2: this is no UTF-8"])

    def test_tables(self) -> None:
        """A table that is none, and one that should be several."""
        said = self.refused("function = 3\nloop = [3]\nprobe = [1]\n")
        self.assertIn("each begins with [[function]], not 3", said[0])
        self.assertEqual(said[1], "line 2: loop[0]: expected a table, not 3")
        self.assertEqual(said[2], "line 3: probe: expected a table, not [1]")
        self.assertIn("line 1: probe: expected a table", self.only("[[probe]]\ninterval = 1\n"))
        self.assertIn("line 1: shop: there is no such key", self.only("[shop.jobs]\na = 1\n"))
        self.assertIn("each begins with [[loop]]", self.only('[loop]\nname = "x"\n'))

    def test_no_secrets(self) -> None:
        """What may be a password is not shown, nor what came from the environment."""
        said = self.refused(
            'interval = "${PW}"\n[database]\npassword = ["geheim"]\n'
            "dsn = \"postgresql://me:${PW}@db:x/y\"\n[probe]\ninterval = '${PW}'\n",
            PW="geheim",
        )
        self.assertEqual(len(said), 4)
        self.assertNotIn("geheim", "\n".join(said))
        self.assertIn("not '${PW}'", said[0])
        said = self.refused(
            '[[function]]\ncall = "${PW}"\n[[function]]\ncall = "${PW}:x"\n', PW="ge"
        )
        self.assertIn("'${PW}': it must be MODULE:NAME", said[0])
        self.assertIn("line 4: function[1].call: ${PW}:x: there is no module ${PW} in ", said[1])

    def test_variable(self) -> None:
        """A variable without a name, or without an end."""
        for text in ("${}", "${PW", "${A B}"):
            said = self.only(f'channels = ["{text}"]\n', PW="x")
            self.assertIn("line 1: channels[0]: ${ must be followed by a name and }", said)

    def test_endpoint(self) -> None:
        """A status page needs a place that there can be."""
        self.assertIn("line 1: status: expected a Twisted endpoint", self.only("status = 8765\n"))
        self.assertIn("line 1: status: 'tpc:8765' is no endpoint", self.only('status = "tpc:8765"'))

        said = self.only('status = "tcp:99999:interface=127.0.0.1"')
        self.assertIn("line 1: status: 'tcp:99999:interface=127.0.0.1' is no endpoint", said)
        self.assertIn("port 99999 is over 65535", said)

    def test_parts_of_a_dsn(self) -> None:
        """What libpq calls a part of where to connect is told to go there, and nowhere else."""
        said = self.refused('[database]\nhost = "db"\nport = 5432\nsslpassword = "geheim"\n')
        self.assertEqual(
            [line.split(": ", 1)[1] for line in said],
            [
                f"database.{key}: there is no such key; it goes into database.dsn, as {key}=..."
                for key in ("host", "port", "sslpassword")
            ],
        )

    def test_no_consequences(self) -> None:
        """What is wrong because something else is isn't told beside it."""
        said = self.only('stop_channel = "doorbell"\nchannels = 3\n')
        self.assertIn("channels: expected", said)
        said = self.only('[[loop]]\nname = 3\n[[function]]\ncall = "os:getpid"\nloop = "mail"\n')
        self.assertIn("loop[0].name: expected a name, not 3", said)
        said = self.only('[[function]]\ncall = "os:getpid"\ninterested = "wants"\n')
        self.assertIn("function[0].interested: 'wants': it must be MODULE:NAME", said)
        both = self.refused(
            '[[loop]]\nname = "a"\n[[loop]]\nname = "a"\n[[loop]]\nname = "b"\n'
            '[[function]]\ncall = "os:getpid"\nloop = "other"\n'
        )
        self.assertIn("there is no loop other; there are a, b", both[1])

    def test_together(self) -> None:
        """Keys that don't go together."""
        said = self.refused(
            'stop_channel = "jobs"\nchannels = ["jobs"]\non_idle = "os:getpid"\n'
            '[database]\ndsn = "password=a"\npassword = "b"\nembedded = "data"\n'
            '[[function]]\ncall = "os:getpid"\n[[function]]\ncall = "os:getpid"\n'
        )
        self.assertEqual(len(said), 5, said)
        self.assertIn("stop_channel: jobs rings the functions already", said[0])
        self.assertIn("on_idle: it is never called without idle_timeout", said[1])
        self.assertIn("database.password: database.dsn has a password already", said[2])
        self.assertIn("database.embedded: it excludes database.dsn", said[3])
        self.assertIn("function[1].call: it is function[0] already, in the loop loop", said[4])

    def test_lines(self) -> None:
        """Keys are found in long texts, quoted, dotted and inline; else the table around them."""
        said = self.refused(
            'stop_channel = """\ninterval = 3\n"""\nprobe.timeout = 0\n"intervall" = 1\n'
            'retry = { factor = 0 }\nloop = [\n  { name = "x", tmeout = 1 },\n]\n'
        )
        places = [line.split(": ")[:2] for line in said]
        self.assertEqual(
            places,
            [
                ["line 4", "probe.timeout"],
                ["line 5", "intervall"],
                ["line 6", "retry.factor"],
                ["line 7", "loop[0].tmeout"],
            ],
        )
