"""
The command ``twistd doorbell``: its options, and the service that they make.

Whatever is wrong with the options is told in one line on stderr. twistd itself would print its
whole help on stdout before it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.python import usage

from txdoorbell.listening.driver import DriverMissing
from txdoorbell.listening.dsn import check_dsn
from txdoorbell.notification import check_channel
from txdoorbell.process.attendant import Attendant
from txdoorbell.process.ending import Ending
from txdoorbell.process.sample import Sample
from txdoorbell.process.supervisor import Supervisor
from txdoorbell.process.words import not_understood
from txdoorbell.processor import check_seconds
from txdoorbell.settling import checks
from txdoorbell.settling.assembly import Assembly
from txdoorbell.settling.credentials import with_password
from txdoorbell.settling.fleet_options import FleetOptions
from txdoorbell.settling.functions import Loaded, Plan
from txdoorbell.settling.load import LoadError, import_from_here, load_processor
from txdoorbell.settling.settings import Database, LoopOptions, Settings
from txdoorbell.status.options import StatusOptions

__all__ = ["Options", "makeService"]

FIRST_TRY = "doorbell-data"
"""The folder, in the current directory, of the PostgreSQL of those who give no option."""

_EXAMPLES = """
Examples:
  twistd -n doorbell
        the first try: a private PostgreSQL in ./doorbell-data, a function that
        prints what rang, the command that rings, and a status page
  twistd -n doorbell --dsn "dbname=app" --channel jobs --processor jobs:process
        run process() of the module jobs, which may lie in the current
        directory, whenever a NOTIFY on the channel jobs is committed
  twistd -n doorbell --dsn "dbname=app" --lock billing --processor bills:send
        the same on several hosts: only one of them runs it
  twistd -n doorbell --config doorbell.toml --log-format json
        run what the file names; SIGHUP reads it again
"""

_IN_THE_FILE = (
    *("dsn", "channel", "table", "processor", "interval", "embedded"),
    *("lock", "max-loops", "host", "hosts"),
)
"""The options whose place a configuration file takes."""


def _interval(text: str) -> float:
    try:
        return check_seconds("interval", float(text), zero=True)
    except ValueError:
        raise usage.UsageError(
            f"--interval: {text!r} is no number of seconds; 0 or more is allowed, 0 is never"
        ) from None


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise usage.UsageError(f"--log-format: {text!r} is neither text nor json")
    return text


class Options(StatusOptions, FleetOptions):
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
            None,
            "The safety net: everything runs each so many seconds, rung or not; 0 for never. "
            "[default: 60]",
            _interval,
        ],
        [
            "embedded",
            None,
            None,
            "Run a private PostgreSQL with its files in this directory, and connect to that.",
            Path,
        ],
        [
            "config",
            None,
            None,
            "Take all that from this TOML file, in place of --dsn, --channel, --table, "
            "--processor, --interval, --embedded, --lock, --max-loops, --host and --hosts. SIGHUP "
            "reads it again.",
            lambda text: Path(text).absolute(),
        ],
        ["log-format", None, "text", "The log: text, or json, a line for each event.", _log_format],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["channel"] = []
        self["table"] = []
        self["processor"] = []

    def opt_channel(self, name: str) -> None:
        """Ring the functions on this channel, or on several: repeat it. The default is doorbell."""
        try:
            self["channel"].append(check_channel(name))
        except ValueError as error:
            raise usage.UsageError(f"--channel: {error}") from None

    def opt_table(self, name: str) -> None:
        """Ring the functions on changes of this table, by the write-ahead log; repeat it."""
        try:
            self["table"].append(checks.table(name))
        except ValueError as error:
            raise usage.UsageError(f"--table: {error}") from None

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
        self["first-try"] = not options
        if not options:
            self["embedded"] = Path(FIRST_TRY)
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            lines = str(error).splitlines()
            raise SystemExit("\n".join(f"twistd doorbell: {line}" for line in lines)) from None

    def postOptions(self) -> None:
        """Find out what would keep the service from starting, before it is made."""
        self._check_together()
        self.status_token()
        try:
            self["plan"] = self._plan_of_options() if self["config"] is None else self._read()
            embedded = self["plan"].settings.database.embedded
            if embedded is not None:
                from txdoorbell.process.private import check_folder

                check_folder(Path(embedded))
        except (ValueError, DriverMissing) as error:
            raise usage.UsageError(str(error).replace("DSN:", "--dsn:")) from None

    @property
    def twistd(self) -> Mapping[str, Any]:
        """The options of ``twistd`` itself; none when these are parsed alone."""
        return self.parent or {}

    def _check_together(self) -> None:
        if self["dsn"] is not None and self["embedded"] is not None:
            raise usage.UsageError("--dsn and --embedded exclude each other")
        beside = [name for name in _IN_THE_FILE if self[name] not in (None, [])]
        if self["config"] is not None and beside:
            raise usage.UsageError(f"--config and --{beside[0]} exclude each other")
        if self["log-format"] == "json" and self.twistd.get("syslog"):
            raise usage.UsageError("--log-format json and --syslog exclude each other")

    def _read(self) -> Plan:
        from txdoorbell.config import read_config

        import_from_here()
        return read_config(self["config"])

    def _plan_of_options(self) -> Plan:
        self["channel"] = self["channel"] or ["doorbell"]
        if self["interval"] is None:
            self["interval"] = Settings().interval
        check_dsn(self["dsn"] or "")
        embedded = None if self["embedded"] is None else str(self["embedded"])
        settings = Settings(
            channels=tuple(self["channel"]),
            tables=tuple(dict.fromkeys(self["table"])),
            interval=self["interval"],
            max_loops=self["max-loops"],
            host=self["host"],
            hosts=self["hosts"],
            loop=self.loops(),
            database=Database(dsn=self["dsn"] or "", embedded=embedded),
        )
        return Plan(settings, _functions(self["processor"]))

    def getUsage(self, width: int | None = None) -> str:
        """Return the help, with examples at its end."""
        return super().getUsage(width) + _EXAMPLES


def _functions(processors: Sequence[Any]) -> tuple[Loaded, ...]:
    """Return the functions of a command line; without one, the sample."""
    loop = LoopOptions().name
    if processors:
        return tuple(dict.fromkeys(Loaded(loop, processor, ()) for processor in processors))
    sample = Sample()
    return (Loaded(loop, sample, (("name", "sample"), ("hint", sample.hint))),)


def makeService(options: Options) -> IService:
    """Return the doorbell that the options ask for, with what is to be beside it."""
    from twisted.internet import reactor

    plan, supervisor = options["plan"], Supervisor.of()
    assembly, service = _make(reactor, plan, options["config"] is not None or supervisor)
    pidfile = options.twistd.get("pidfile")
    Ending(reactor, assembly.bell, pidfile=pidfile).setServiceParent(assembly.bell)
    options.add_status(reactor, assembly.bell, plan.settings.status, options["first-try"])
    attendant = None if supervisor is None else Attendant(assembly.bell, supervisor)
    if options["config"] is not None:
        from txdoorbell.settling.reload import Reloader

        reloader = Reloader(reactor, options["config"], plan, assembly)
        reloader.setServiceParent(service)
        if attendant is not None:
            reloader.before_reload = attendant.reloading
            reloader.after_reload = attendant.reloaded
    if attendant is not None:
        attendant.setServiceParent(service)
    if options["log-format"] == "json":
        from txdoorbell.process.jsonlog import JsonLogged

        return JsonLogged(service, options.twistd)
    return service


def _make(reactor: Any, plan: Plan, accompanied: object) -> tuple[Assembly, MultiService]:
    """Return a doorbell, and the service that it is, or that it is a part of."""
    database = plan.settings.database
    if database.embedded is not None:
        from txdoorbell.process.private import housed

        return housed(reactor, plan, Path(database.embedded))
    assembly = Assembly(reactor, plan, with_password(database.dsn, database.password))
    if not accompanied:
        return assembly, assembly.bell
    house = MultiService()
    assembly.bell.setServiceParent(house)
    return assembly, house
