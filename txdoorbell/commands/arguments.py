"""Arguments that several commands have in common, and how they are checked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from txdoorbell.embedded import running_dsn
from txdoorbell.listening.dsn import check_dsn

__all__ = ["PLACE", "add_command", "add_place", "checked", "place"]

T = TypeVar("T")

PLACE = """\
Without --dsn and --embedded, libpq's environment says where: PGHOST, PGDATABASE,
PGSERVICE, PGPASSFILE and so on. A password belongs there, in a service file or in a
password file: everybody on this machine can read a command line.
"""


def add_command(commands: Any, name: str, summary: str, text: str, examples: str) -> Any:
    """
    Add a command, and return its parser.

    :param summary: for the list of all commands.
    :param text: what it does, above its options.
    :param examples: below them.
    """
    return commands.add_parser(
        name,
        help=summary,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_place(command: argparse.ArgumentParser) -> None:
    """Add the options that say where, for any command that connects."""
    where = command.add_mutually_exclusive_group()
    where.add_argument("--dsn", type=checked(_dsn), help="libpq's keywords and values, or a URI")
    where.add_argument(
        "--embedded",
        metavar="DIR",
        type=Path,
        help="the private PostgreSQL that twistd doorbell runs in this directory",
    )


def checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function for argparse that tells what another one finds wrong."""

    def checked(text: str) -> T:
        try:
            return check(text)
        except ValueError as error:
            # Of another error argparse would show the argument, perhaps with a password in it.
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def place(options: argparse.Namespace) -> str:
    """
    Return the DSN that the options of :func:`add_place` come to.

    :raises DriverMissing: without a driver, before a reactor is run.
    """
    return _dsn(running_dsn(options.embedded) if options.embedded else options.dsn or "")


def _dsn(text: str) -> str:
    check_dsn(text)
    return text
