"""
A reader of a page, who does in its order what it says, in a database and a directory of their own.

SQL is run, and files with a caption are saved. Commands are given to a shell, for which
``twistd``, ``txdoorbell`` and ``python`` are ours. What a page shows below a command, or in a block
of ``text``, must be printed. :data:`ELSEWHERE` is what stands in another place for the reader than
on the page, and why.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from psycopg2.extensions import make_dsn, parse_dsn
from twisted.trial.unittest import SkipTest

from tests import pages
from tests.commands import Command, CommandTestCase, environment
from tests.servers import execute, shared_server
from tests.waiting import wait_for
from txdoorbell.embedded import PostgresServer, running_dsn
from txdoorbell.embedded.server import free_port

ELSEWHERE = (
    ("host=db.example.org port=5432 ", ""),  # libpq's environment leads to a server on loopback,
    ("host=db.example.org ", ""),
    (" user=shop", ""),  # where everybody may be postgres,
    (" sslmode=verify-full", ""),  # and which has no certificate.
    ("http://10.0.0.7:", "http://127.0.0.1:"),
    ("PYTHONPATH=. ", "PYTHONPATH=.:$PYTHONPATH "),  # We are found that way, not installed.
    ("/etc/", ""),
    ("/run/", ""),
    ("~/try", "../try"),
    ("-m venv ", "-m venv --without-pip "),  # pip is not needed: nothing is installed there.
    ("| jq ", "| jq --unbuffered "),  # Here it does not write to a terminal.
)
_COMMAND = re.compile(r"^\$ (?P<line>.*)\n?(?P<output>(?:[^$\n].*\n?)*)", re.M)
# Times, lengths of time and processes are others each time, as is what stands below /home/me.
_VARIES = re.compile(r"\d\d:\d\d|#info\]|\d m?s\b|db\.example\.org|, line \d")
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
_LEADER = "import os, sys; os.setsid(); os.execv('/bin/sh', ['sh', '-c', sys.argv[1]])"
# What is asked of pip is that setup.cfg has these extras; tests/test_packaging.py installs.
_PIP = (
    "import configparser, re, sys; ini = configparser.ConfigParser(); ini.read(sys.argv[1]);"
    "extras = re.fullmatch(r'install \\.\\[([\\w,]+)\\]', ' '.join(sys.argv[2:]))[1].split(',');"
    "assert set(extras) <= set(ini['options.extras_require']), extras"
)
_PSQL = (
    "import sys, psycopg2; arguments = dict(zip(*[iter(sys.argv[-2:])] * 2));"
    "name = {'dbname': sys.argv[1]} if len(sys.argv) % 2 == 0 else {};"
    "database = psycopg2.connect(**name); database.autocommit = True;"
    "file = arguments.get('-f'); sql = open(file).read() if file else arguments['-c'];"
    "database.cursor().execute(sql)"
)
_CREATEDB = (
    "import sys, psycopg2; database = psycopg2.connect(dbname='postgres');"
    "database.autocommit = True; database.cursor().execute('create database ' + sys.argv[1])"
)


def like(line: str) -> str:
    """Return a regular expression for a line that a page shows."""
    if not _VARIES.search(line):
        return re.escape(line).replace(r"\.\.\.", ".*")
    pattern = re.sub(r"\d[\d.,:]*", "\0", line).replace("...", "\1")
    pattern = re.sub(r"/(home/me|etc)/[^\s:)]*", "\2", pattern)
    pattern = re.sub(r"db\.example\.org\S*/(\w+) as \w+", "\2/\\1 as \2", pattern)
    pattern = re.sub(r"\\? +", " ", re.escape(pattern)).replace(r"\ ", " ").replace(" ", " +")
    return pattern.replace("\0", r"[\d.,:]+").replace("\1", ".*").replace("\2", r".+")


def need_programs(line: str) -> None:
    """
    Look for the programs of others that a command uses.

    :raises SkipTest: one isn't here.
    """
    for program in ("curl", "make", "openssl"):
        if re.search(rf"\b{program} ", line) and shutil.which(program) is None:
            raise SkipTest(f"there is no {program} here, with which the page goes on")


class ReaderTestCase(CommandTestCase):
    """
    Tests that follow pages.

    :ivar database: the name of the database, which is there from the start.
    :ivar talkers: who may have printed what a page shows in a block of its own, the last first.
    :ivar before: what is to be done before a command that begins like this, because the page takes
        it for granted.
    """

    timeout = 120
    skip = None if (pages.ROOT / "docs").is_dir() else "the documentation is not installed"
    database = "app"

    def setUp(self) -> None:
        """Make the database, and let libpq's environment lead there."""
        super().setUp()
        self.directory = self.directory.resolve()
        server = self.server().dsn
        for name in ("app", "shop"):
            execute(server, f"drop database if exists {name} with (force)")
            self.addCleanup(execute, server, f"drop database if exists {name} with (force)")
        self.dsn = make_dsn(server, dbname=self.database)
        execute(server, f"create database {self.database}")
        place = parse_dsn(self.dsn)
        variables = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        self.environ = environment() | {variables[key]: place[key] for key in variables}
        self.environ["PATH"] = f"{self.equip()}{os.pathsep}{self.environ['PATH']}"
        self.port = str(free_port())
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.running: list[Command] = []
        self.talkers: list[Command] = []
        self.seen: dict[Command, int] = {}

    def server(self) -> PostgresServer:
        """Return a running server for the reader."""
        return shared_server()

    def equip(self) -> Path:
        """Make a directory of the programs that the reader has installed."""
        programs = self.directory.parent / "bin"
        programs.mkdir()
        ours = {"twistd": ["-P", "-c", _TWISTD], "txdoorbell": ["-P", "-m", "txdoorbell"]}
        ours |= {"python": [], "python3": [], "pip": ["-c", _PIP, str(pages.ROOT / "setup.cfg")]}
        for name, code in (("psql", _PSQL), ("createdb", _CREATEDB)):
            if shutil.which(name) is None:
                ours[name] = ["-c", code]
        if shutil.which("jq") is None:
            ours["jq"] = ["-c", "import shutil, sys; shutil.copyfileobj(sys.stdin, sys.stdout, 1)"]
        for name, arguments in ours.items():
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *arguments])} "$@"\n')
            script.chmod(0o755)
        return programs

    def here(self, text: str) -> str:
        """Return a text of the page with what stands elsewhere here."""
        for there, here in ELSEWHERE:
            text = text.replace(there, here)
        text = text.replace("8765", self.port)
        if text == "txdoorbell status":
            return f"{text} http://127.0.0.1:{self.port}/"
        # Of a silent session nothing is known for 15 seconds else.
        quick = "--heartbeat 1 --heartbeat-timeout 1"
        return text.replace("drill", f"drill {quick}") if "drill" in text[:20] else text

    def save(self, name: str, text: str) -> None:
        """Save a file."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.here(text) + "\n")

    async def follow(self, page: str) -> None:
        """Do what a page says, block by block."""
        for block in pages.shown(pages.ROOT / page):
            if block.kind == "postgresql":
                execute(self.dsn, block.text)
            elif block.kind == "console":
                for command in _COMMAND.finditer(block.text):
                    await self.give(command["line"], command["output"].strip())
            elif block.kind == "text":
                await self.see(block.text.splitlines())
            elif block.caption:
                self.save(block.caption, block.text)

    async def give(self, line: str, output: str = "") -> None:
        """Give a command, which prints what the page shows below it."""
        for beginning, needed in self.before.items():
            if line.startswith(beginning):
                await needed()
        need_programs(line)
        line = self.here(line)
        word, *arguments = shlex.split(line)
        if word == "cd":
            self.directory = (self.directory / arguments[0]).resolve()
        elif word == "export":
            name, _, value = arguments[0].partition("=")
            self.environ[name] = value
        elif "make" in (word, *arguments):
            await self.make(line)
        elif self.goes_on(line) and not output:
            await self.start(line)
        else:
            await self.finish(line, output)

    async def make(self, line: str) -> None:
        """Have make tell what it would do; the demo is what it runs."""
        told = self.sh(line.replace("make ", "make -n --no-print-directory "), cwd=pages.ROOT)
        self.assertEqual(await told.ends(), 0, told.err)
        if line == "make demo":
            self.assertRegex(told.out, r"bin/twistd -n doorbell\n$")
            await self.start("twistd -n doorbell")

    def goes_on(self, line: str) -> bool:
        """Say whether a command runs until it is stopped."""
        words = ("twistd -n", " watch", "--watch", "prices.py")
        return any(word in line for word in words)

    def sh(self, line: str, **options: Path) -> Command:
        """Give a line to a shell; what is in it can be stopped together."""
        options = {"cwd": self.directory, **options}
        arguments = [sys.executable, "-c", _LEADER, line]
        command = Command(self, *arguments, environ=self.environ, **options)
        self.addCleanup(self.stop, command, signal.SIGKILL)
        return command

    async def start(self, line: str) -> None:
        """Start what goes on, and return when it does; twistd takes the place of the one before."""
        if "twistd" in line:
            await self.stop_all()
        program = self.sh(line)
        self.running.append(program)
        self.talkers.insert(0, program)
        ours = "twistd" in line or " watch" in line
        sign = "is listening" if ours and "--log-format" not in line else "\n"
        await wait_for(f"{sign!r} from {line}", lambda: sign in self.all_of(program), 20)
        self.assertIsNone(program.status, self.all_of(program))
        if " watch" in line:
            await self.be_watched(program, line)

    def all_of(self, program: Command) -> str:
        """Return what a program has printed; it goes on."""
        return program.out + program.err + ("" if program.status is None else "is listening\n")

    async def be_watched(self, program: Command, line: str) -> None:
        """Ring each channel that is watched."""
        words = shlex.split(line)
        named = words[words.index("watch") + 1 :]
        end = next((n for n, word in enumerate(named) if word.startswith(("-", "|"))), len(named))
        private = "--embedded" in line
        dsn = running_dsn(self.directory / "doorbell-data") if private else self.dsn
        for channel in named[:end] or ["doorbell"]:
            before = len(program.out)

            def ring(channel: str = channel, before: int = before) -> bool:
                execute(dsn, "select pg_notify(%s, '{\"id\": 7}')", (channel,))
                return len(program.out) > before

            await wait_for("a ring to be seen", ring)

    async def finish(self, line: str, output: str) -> None:
        """Give a command that ends, and well, unless the page shows what is wrong."""
        if line.startswith("twistd"):
            await self.stop_all()
        command = self.sh(line)
        await command.ends(30)
        failed = "warning: " in output or output.startswith("twistd doorbell: ")
        self.assertEqual(command.status, int(failed), f"{line}: {command.out}{command.err}")
        if output:
            pattern = "\n".join(map(like, output.splitlines()))
            self.assertRegex((command.out or command.err).strip(), f"^{pattern}$")
        elif line.startswith("txdoorbell ") and command.out:
            self.talkers.insert(0, command)
        if line.startswith("twistd doorbell"):
            await self.in_background()

    async def in_background(self) -> None:
        """See that a daemon listens, and stop it."""
        log = self.directory / "twistd.log"
        await wait_for("the daemon to listen", lambda: "is listening" in log.read_text())
        pid = self.directory / "twistd.pid"
        os.kill(int(pid.read_text()), signal.SIGTERM)
        await wait_for("the daemon to end", lambda: not pid.exists())

    async def see(self, lines: list[str]) -> None:
        """See lines in what has been printed, after those seen before, and no error."""
        for line in lines:
            pattern = re.compile(like(line) + "$", re.M)
            found = await wait_for(repr(line), lambda pattern=pattern: self.find(pattern), 20)  # type: ignore[misc]
            if found and "txdoorbell ring " in line:
                await self.give(found[0].partition("]")[2].strip())
        for talker in self.talkers:
            self.assertNotIn("Traceback", talker.out + talker.err)

    def find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Look for a line in the outputs, of which the last one goes first."""
        for talker in self.talkers:
            if found := pattern.search(talker.out, self.seen.get(talker, 0)):
                self.seen[talker] = found.end()
                return found
        return None

    async def stop_all(self) -> None:
        """Press Ctrl-C in each terminal."""
        while self.running:
            await self.stop(self.running.pop(), signal.SIGINT)

    async def stop(self, command: Command, number: int) -> None:
        """Stop a command, and whatever it has started."""
        if command.status is None:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, number)
            await command.ends()
