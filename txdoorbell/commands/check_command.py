"""The command ``txdoorbell check``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.logger import globalLogBeginner

from txdoorbell.commands.arguments import add_command
from txdoorbell.embedded import EmbeddedUnavailable, PostgresServer, running_dsn
from txdoorbell.settling.functions import Plan
from txdoorbell.settling.load import import_from_here

__all__ = ["add_check"]

_TEXT = """\
Check a configuration: read it, import every function, connect, LISTEN, ring, and hear
the ring; with tables, look them up and read the write-ahead log; with locks, see who
holds them. No function is called, and nothing is changed. Each step is one line.
"""

_EXAMPLES = """\
examples:
  txdoorbell check doorbell.toml
  txdoorbell check --offline doorbell.toml

exit status: 0 when all is well, 1 when a step has failed, 2 for wrong usage.
"""


def add_check(commands: Any) -> None:
    """Add the command."""
    check = add_command(commands, "check", "check a configuration file", _TEXT, _EXAMPLES)
    check.add_argument("file", metavar="FILE", type=Path)
    check.add_argument(
        "--offline", action="store_true", help="do not connect: check the file and its functions"
    )
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    import_from_here()
    # Nobody is to be told what a step says better.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    plan = _read(options.file)
    if plan is None:
        return 1
    return 0 if options.offline else _go_online(plan)


def _read(path: Path) -> Plan | None:
    from txdoorbell.config import ConfigError, read_config

    try:
        plan = read_config(path)
    except ConfigError as error:
        for problem in error.problems:
            _failed(problem)
        return None
    settings = plan.settings
    for warning in plan.warnings:
        _say("warning", warning)
    _ok(f"{path} is valid")
    for function, loaded in zip(settings.function, plan.functions, strict=True):
        _ok(f"{function.call} is imported, for the loop {loaded.loop}")
    return plan


def _go_online(plan: Plan) -> int:
    from txdoorbell.settling.credentials import with_password

    database = plan.settings.database
    if database.embedded is None:
        _ring(plan, with_password(database.dsn, database.password))
    return _visit(plan, Path(database.embedded))


def _visit(plan: Plan, folder: Path) -> int:
    """Ring on a private PostgreSQL, if it runs; it is not started for that."""
    try:
        _ring(plan, running_dsn(folder))
    except EmbeddedUnavailable as error:
        absence = str(error)
    try:
        PostgresServer(folder).check()
    except EmbeddedUnavailable as error:
        _failed(str(error))
        return 1
    _say("skipped", f"connecting: {absence}; twistd doorbell starts it")
    return 0


def _ring(plan: Plan, dsn: str) -> NoReturn:
    from twisted.internet.task import react

    from txdoorbell.commands.checkup import CheckFailed, check_listening

    async def check(reactor: Any) -> None:
        try:
            await check_listening(reactor, plan, dsn, _ok)
            if plan.tables:
                from txdoorbell.commands.checkup_log import check_log

                await check_log(reactor, plan, dsn, _say)
            if plan.locks:
                from txdoorbell.commands.checkup_locks import check_locks

                await check_locks(reactor, plan, dsn, _say)
        except CheckFailed as error:
            _failed(str(error))
            raise SystemExit(1) from None

    react(check)


def _ok(text: str) -> None:
    _say("ok", text)


def _failed(text: str) -> None:
    _say("failed", text)


def _say(outcome: str, text: str) -> None:
    sys.stdout.write(f"{outcome:8}{text}\n")
    sys.stdout.flush()
