"""The how-to pages: what they show is done, in their order, and comes to what they say."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from textwrap import dedent

from psycopg2.extensions import make_dsn, parse_dsn

from tests.commands import Command, CommandTestCase, environment
from tests.pages import ROOT
from tests.servers import execute, shared_server
from tests.waiting import wait_for

PAGES = ROOT / "docs"
_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<kind>\w+)\n(?: +:caption: (?P<name>\S+)\n)?\n"
    r"(?P<text>(?:(?P=indent) {3}.*\n|\n)+)",
    re.M,
)
_COMMAND = re.compile(r"^\$ (?P<line>.*)\n?(?P<output>(?:[^$\n].*\n?)*)", re.M)


def blocks(page: Path) -> Iterator[tuple[str, str | None, str]]:
    """Return the kind, the file name and the text of each block of a page."""
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield block["kind"], block["name"], dedent(block["text"]).strip()


class HowtoTests(CommandTestCase):
    """
    One test for each page, in a database and a directory of its own.

    SQL is run, modules are saved, commands are given, and those of the last program's lines that
    the page shows are printed.
    """

    skip = None if PAGES.is_dir() else "the documentation is not installed"
    names = count()

    def setUp(self) -> None:
        """Make the database, and let libpq's environment lead there."""
        super().setUp()
        server, name = shared_server().dsn, f"howto{next(self.names)}"
        execute(server, f"create database {name}")
        self.addCleanup(execute, server, f"drop database {name} with (force)")
        self.dsn = make_dsn(server, dbname=name)
        place = parse_dsn(self.dsn)
        self.environ = {
            **environment(),
            "PGHOST": place["host"],
            "PGPORT": place["port"],
            "PGUSER": place["user"],
            "PGDATABASE": place["dbname"],
        }
        self.program: Command | None = None

    async def follow(self, page: Path) -> None:
        """Do what a page says."""
        for kind, name, text in blocks(page):
            if kind == "postgresql":
                execute(self.dsn, text)
            elif kind == "python":
                (self.directory / str(name)).write_text(text)
            elif kind == "console":
                for command in _COMMAND.finditer(text):
                    await self.give(*shlex.split(command["line"]), output=command["output"])
            elif kind == "text":
                await self.see(text.splitlines())

    async def give(self, command: str, *arguments: str, output: str) -> None:
        """Give a command; one that goes on is waited for until it listens, or prints."""
        if command == "txdoorbell":
            given = self.txdoorbell(*arguments, environ=self.environ)
            status = 1 if "warning: " in output else 0
            self.assertEqual((await given.ends(), given.err), (status, ""))
            if output:
                pattern = re.escape(output.strip()).replace(re.escape("..."), ".*")
                self.assertRegex(given.out.strip(), f"^{pattern}$")
        elif command == "psql":
            self.assertEqual(arguments[0], "-c")
            execute(self.dsn, arguments[1])
        elif command == "twistd":
            self.program = self.twistd(*arguments, environ=self.environ)
            await self.program.prints("is listening")
        else:
            self.assertEqual(command, "python")
            script = [sys.executable, *arguments]
            self.program = Command(self, *script, cwd=self.directory, environ=self.environ)
            await self.program.prints("\n")

    async def see(self, lines: list[str]) -> None:
        """See lines in the output of the program, in this order, and no error."""
        assert self.program is not None
        for line in lines:
            await self.program.prints(f"{line}\n")
        found = [self.program.out.index(f"{line}\n") for line in lines]
        self.assertEqual(found, sorted(found))
        self.assertNotIn("Traceback", self.program.out + self.program.err)

    async def test_jobs(self) -> None:
        """Three jobs are done."""
        await self.follow(PAGES / "howto-jobs.rst")

    async def test_outbox(self) -> None:
        """A message is sent, and gone."""
        await self.follow(PAGES / "howto-outbox.rst")

    async def test_cache(self) -> None:
        """A price that changes is seen."""
        await self.follow(PAGES / "howto-cache.rst")

    async def test_periodic(self) -> None:
        """What is due is done, and is due again tomorrow."""
        await self.follow(PAGES / "howto-periodic.rst")
        # It prints before it commits.
        await wait_for("tomorrow", lambda: round(self.days_to_go(), 2) == 1)

    def days_to_go(self) -> float:
        """Return the days until the plan's one row is due."""
        [(ahead,)] = execute(self.dsn, "select next - now() from plan")
        return float(ahead.total_seconds() / 86400)

    async def test_sql(self) -> None:
        """The commands print what the page shows."""
        await self.follow(PAGES / "sql.rst")
