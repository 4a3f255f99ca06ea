"""
The command ``txdoorbell``.

Its exit status is 0 when it has done what was asked, 1 with one line on stderr when it could not,
and 2 for wrong usage. No password is shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from txdoorbell.driver import DriverMissing
from txdoorbell.dsn import check_dsn
from txdoorbell.embedded import EmbeddedUnavailable, running_dsn
from txdoorbell.load import import_from_here, load_processor
from txdoorbell.notification import check_channel, check_payload
from txdoorbell.once import run_once
from txdoorbell.sender import NotRung, ring_once
from txdoorbell.words import not_understood

__all__ = ["main"]

T = TypeVar("T")

_PLACE = """\
Without --dsn and --embedded, libpq's environment says where: PGHOST, PGDATABASE,
PGSERVICE, PGPASSFILE and so on. A password belongs there, in a service file or in a
password file: everybody on this machine can read a command line.
"""

_RING_EXAMPLES = """\
examples:
  txdoorbell ring jobs
  txdoorbell ring jobs '{"id": 7}' --dsn "host=db.example.org dbname=app"
  txdoorbell ring doorbell hello --embedded ./doorbell-data

exit status: 0 when the NOTIFY is committed, 1 when it could not be sent, 2 for
wrong usage.
"""


_ONCE_EXAMPLES = """\
examples:
  txdoorbell once jobs:process
  txdoorbell once shop.outbox:relay shop.store:subscription.runner

Modules may lie in the current directory. What a function asks for is done, work that
remains included; a time at which it wants to run again is not waited for.

exit status: 0 when all went well, 1 when one failed (its traceback is on stderr, and
the others have run), 2 for wrong usage.
"""


class _Parser(argparse.ArgumentParser):
    """A parser that tells what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command line.

    :param arguments: without the program's name; None for those of this process.
    :returns: 0.
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
    _add_ring(commands)
    _add_once(commands)
    return parser


def _version() -> str:
    try:
        return version("txdoorbell")
    except PackageNotFoundError:
        return "(not installed)"


def _add_ring(commands: Any) -> None:
    ring = commands.add_parser(
        "ring",
        help="send a NOTIFY",
        description=f"Send a NOTIFY, and end when it is committed.\n\n{_PLACE}",
        epilog=_RING_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    ring.add_argument("channel", metavar="CHANNEL", type=_checked(check_channel))
    ring.add_argument(
        "payload", metavar="PAYLOAD", nargs="?", default="", type=_checked(check_payload)
    )
    _add_place(ring)
    ring.set_defaults(run=_ring)


def _add_once(commands: Any) -> None:
    once = commands.add_parser(
        "once",
        help="run functions once",
        description="Run functions, or handler objects, once: one at a time, without listening.",
        epilog=_ONCE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    once.add_argument("processors", metavar="MODULE:NAME", nargs="+", type=_checked(_processor))
    once.set_defaults(run=_once)


def _add_place(command: argparse.ArgumentParser) -> None:
    """Add the options that say where, for any command that connects."""
    place = command.add_mutually_exclusive_group()
    place.add_argument("--dsn", type=_checked(_dsn), help="libpq's keywords and values, or a URI")
    place.add_argument(
        "--embedded",
        metavar="DIR",
        type=Path,
        help="the private PostgreSQL that twistd doorbell runs in this directory",
    )


def _checked(check: Callable[[str], T]) -> Callable[[str], T]:
    def checked(text: str) -> T:
        try:
            return check(text)
        except ValueError as error:
            # Of another error argparse would show the argument, perhaps with a password in it.
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _dsn(text: str) -> str:
    check_dsn(text)
    return text


def _processor(text: str) -> object:
    import_from_here()
    return load_processor(text)


def _place(options: argparse.Namespace) -> str:
    """
    Return the DSN that the options of :func:`_add_place` come to.

    :raises DriverMissing: without a driver, before a reactor is run.
    """
    return _dsn(running_dsn(options.embedded) if options.embedded else options.dsn or "")


def _ring(options: argparse.Namespace) -> NoReturn:
    from twisted.internet.task import react

    dsn = _place(options)

    async def ring(reactor: Any) -> None:
        try:
            await ring_once(reactor, dsn, options.channel, options.payload)
        except NotRung as error:
            raise SystemExit(f"txdoorbell ring: {error}") from None

    react(ring)


def _once(options: argparse.Namespace) -> NoReturn:
    from twisted.internet.task import react

    globalLogBeginner.beginLoggingTo([_complaints()], redirectStandardIO=False)

    async def once(reactor: Any) -> None:
        errors = await run_once(reactor, options.processors)
        if errors:
            raise SystemExit(f"txdoorbell once: {errors} failed; see above")

    react(once)


def _complaints() -> ILogObserver:
    """Return an observer that writes warnings and errors to stderr."""
    worth_it = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    return FilteringLogObserver(textFileLogObserver(sys.stderr), [worth_it])
