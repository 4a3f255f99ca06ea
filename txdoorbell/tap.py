"""
The command ``twistd doorbell``: its options, and the service that they make.

Whatever is wrong with the options is told in one line on stderr. twistd itself would print its
whole help on stdout before it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService
from twisted.python import usage

from txdoorbell.doorbell import Doorbell
from txdoorbell.driver import DriverMissing
from txdoorbell.dsn import check_dsn
from txdoorbell.embedded import EmbeddedService, EmbeddedUnavailable, PostgresServer
from txdoorbell.exitstatus import exit_when_resigned
from txdoorbell.housing import Housing
from txdoorbell.invitation import invite
from txdoorbell.load import LoadError, add_processor, import_from_here, load_processor
from txdoorbell.notification import check_channel
from txdoorbell.processor import check_seconds
from txdoorbell.sample import Sample
from txdoorbell.words import not_understood

__all__ = ["Options", "makeService"]

FIRST_TRY = "doorbell-data"
"""The folder, in the current directory, of the PostgreSQL of those who give no option."""

_EXAMPLES = """
Examples:
  twistd -n doorbell
        the first try: a private PostgreSQL in ./doorbell-data, a function that
        prints what rang, and the command that rings
  twistd -n doorbell --dsn "dbname=app" --channel jobs --processor jobs:process
        run process() of the module jobs, which may lie in the current
        directory, whenever a NOTIFY on the channel jobs is committed
"""


def _interval(text: str) -> float:
    try:
        return check_seconds("interval", float(text), zero=True)
    except ValueError:
        raise usage.UsageError(
            f"--interval: {text!r} is no number of seconds; 0 or more is allowed, 0 is never"
        ) from None


class Options(usage.Options):
    """What ``twistd doorbell`` can be told on its command line."""

    synopsis = "[doorbell options]"
    longdesc = (
        "Runs functions when a NOTIFY is committed in PostgreSQL: one at a time, and no ring is "
        "missed. What --dsn leaves out, or all of it, comes from libpq's environment: PGHOST, "
        "PGDATABASE, PGSERVICE, PGPASSFILE and so on. A password belongs there, in a service file "
        "or in a password file: everybody on this machine can read a command line."
    )
    optParameters: list[Sequence[Any]] = [
        ["dsn", None, None, "How to connect: libpq's keywords and values, or a URI."],
        [
            "interval",
            None,
            60.0,
            "The safety net: everything runs each so many seconds, rung or not; 0 for never.",
            _interval,
        ],
        [
            "embedded",
            None,
            None,
            "Run a private PostgreSQL with its files in this directory, and connect to that.",
            Path,
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["channel"] = []
        self["processor"] = []

    def opt_channel(self, name: str) -> None:
        """Ring the functions on this channel, or on several: repeat it. The default is doorbell."""
        try:
            self["channel"].append(check_channel(name))
        except ValueError as error:
            raise usage.UsageError(f"--channel: {error}") from None

    def opt_processor(self, spec: str) -> None:
        """Run this function, or handler object, MODULE:NAME; or several: repeat it."""
        import_from_here()
        try:
            self["processor"].append(load_processor(spec))
        except LoadError as error:
            raise usage.UsageError(f"--processor: {error}") from None

    def parseArgs(self, *rest: str) -> None:
        """Refuse what is no option: most often a part of a DSN that isn't quoted."""
        if rest:
            raise usage.UsageError(not_understood(rest, self["dsn"] is not None))

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse a command line; an empty one is the first try.

        :param options: None for that of this process.
        :raises UsageError: when anything is wrong with it; as a part of twistd's command line,
            ``SystemExit`` with the same text.
        """
        options = sys.argv[1:] if options is None else options
        if not options:
            self["embedded"] = Path(FIRST_TRY)
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            raise SystemExit(f"twistd doorbell: {error}") from None

    def postOptions(self) -> None:
        """Find out what would keep the service from starting, before it is made."""
        if self["dsn"] is not None and self["embedded"] is not None:
            raise usage.UsageError("--dsn and --embedded exclude each other")
        self["channel"] = self["channel"] or ["doorbell"]
        try:
            check_dsn(self["dsn"] or "")
            if self["embedded"] is not None:
                _check_folder(self["embedded"])
        except (ValueError, DriverMissing, EmbeddedUnavailable) as error:
            raise usage.UsageError(str(error).replace("DSN:", "--dsn:")) from None

    def getUsage(self, width: int | None = None) -> str:
        """Return the help, with examples at its end."""
        return super().getUsage(width) + _EXAMPLES


def _check_folder(folder: Path) -> None:
    try:
        server = PostgresServer(folder)
        server.check()
        above = next(path for path in (server.data, *server.data.parents) if path.exists())
        if not (above.is_dir() and os.access(above, os.W_OK)):
            raise EmbeddedUnavailable(f"{server.data}: nothing can be written to {above}")
    except OSError as error:
        raise EmbeddedUnavailable(f"{folder}: {error.strerror}") from None


def makeService(options: Options) -> IService:
    """Return the doorbell that the options ask for, on its private PostgreSQL if it has one."""
    from twisted.internet import reactor

    if options["embedded"] is None:
        return _make_doorbell(reactor, options["dsn"] or "", options)
    server = PostgresServer(options["embedded"])
    housing = Housing(EmbeddedService(cast(Any, reactor), server))
    bell = _make_doorbell(reactor, server.dsn, options)
    bell.setServiceParent(housing)
    invite(bell, server.data)
    return housing


def _make_doorbell(reactor: Any, dsn: str, options: Options) -> Doorbell:
    bell = Doorbell(reactor, dsn, channels=options["channel"], interval=options["interval"])
    for processor in options["processor"]:
        add_processor(bell.loop, processor)
    if not options["processor"]:
        sample = Sample()
        bell.add(sample, name="sample", hint=sample.hint)
    exit_when_resigned(reactor, bell)
    return bell
