"""
The command ``txdoorbell``.

Its exit status is 0 when it has done what was asked, 1 with one line on stderr when it could not,
and 2 for wrong usage. No password is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from txdoorbell.commands.check_command import add_check
from txdoorbell.commands.drill_command import add_drill
from txdoorbell.commands.once_command import add_once
from txdoorbell.commands.ring_command import add_ring
from txdoorbell.commands.sql_command import add_sql
from txdoorbell.commands.watch_command import add_watch
from txdoorbell.embedded import EmbeddedUnavailable
from txdoorbell.listening.driver import DriverMissing
from txdoorbell.process.words import not_understood
from txdoorbell.status.command import add_status

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """A parser that tells what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command line.

    :param arguments: without the program's name; None for those of this process.
    :returns: the exit status.
    :raises SystemExit: with another status, or after help; and always when a reactor was run.
    """
    try:
        options = _parse(arguments)
        status: int = options.run(options)
    except (DriverMissing, EmbeddedUnavailable) as error:
        raise SystemExit(f"txdoorbell: {error}") from None
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, stray = parser.parse_known_args(arguments)
    if stray:
        parser.error(not_understood(stray, getattr(options, "dsn", None) is not None))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="txdoorbell", description="Ring doorbells in PostgreSQL.")
    parser.add_argument("--version", action="version", version=f"txdoorbell {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_ring(commands)
    add_once(commands)
    add_check(commands)
    add_watch(commands)
    add_sql(commands)
    add_drill(commands)
    add_status(commands)
    return parser


def _version() -> str:
    try:
        return version("txdoorbell")
    except PackageNotFoundError:
        return "(not installed)"
