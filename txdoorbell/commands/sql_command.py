"""The command ``txdoorbell sql``: prints trigger SQL, installs it, or looks for what is amiss."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from txdoorbell.commands.arguments import PLACE, add_command, add_place, checked, place
from txdoorbell.commands.watch import printable
from txdoorbell.embedded import running_dsn
from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.visit import Refused, visit
from txdoorbell.notification import CHANNEL_LIMIT, check_channel
from txdoorbell.settling.load import import_from_here
from txdoorbell.sql import EVENTS, Payload, check_events, remove_sql, trigger_sql
from txdoorbell.triggers.lint import Report, look
from txdoorbell.triggers.names import parse_schema, parse_table

if TYPE_CHECKING:
    from txdoorbell.listening.session import Session

__all__ = ["add_sql"]

T = TypeVar("T")

_TEXT = f"""\
Print SQL by which a table rings a channel: once for each statement that changes rows,
when its transaction commits. With --apply, install it. With --lint, look at a
database for triggers that ring too often, for nobody, or not at all. With --fleet,
it is the table that numbers the leases of loops with a lock.

{PLACE}"""

_EXAMPLES = """\
examples:
  txdoorbell sql job --channel jobs
  txdoorbell sql shop.job --channel jobs --on insert,update --when "state = 'ready'"
  txdoorbell sql shop.job --channel jobs --payload key --apply --dsn "dbname=app"
  txdoorbell sql shop.job --channel jobs --remove --apply --dsn "dbname=app"
  txdoorbell sql --fleet --apply --dsn "dbname=app"
  txdoorbell sql --lint --channel jobs --channel mail --dsn "dbname=app"
  txdoorbell sql --lint --config doorbell.toml

exit status: 0 when it was printed or done, or when --lint finds nothing; 1 when --lint
warns, or when the database can't be reached or says no; 2 for wrong usage.
"""

_WAIT = "set local lock_timeout = '2s';  -- rather fail than make those wait who use the table"
_ANSWER_TIMEOUT = 60.0


def add_sql(commands: Any) -> None:
    """Add the command."""
    sql = add_command(commands, "sql", "make a table ring", _TEXT, _EXAMPLES)
    sql.add_argument(
        "table",
        metavar="TABLE",
        nargs="?",
        type=checked(_table),
        help='read as in SQL: job, shop.job, \'"My Shop"."Job"\'',
    )
    sql.add_argument(
        "--channel",
        metavar="CHANNEL",
        action="append",
        default=[],
        type=checked(check_channel),
        help="the one to ring; with --lint one that is listened to, several times for several",
    )
    _add_options(sql)
    what = sql.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="remove it all")
    what.add_argument("--lint", action="store_true", help="look for what is amiss")
    sql.add_argument("--fleet", action="store_true", help="the table of leases, and no trigger")
    sql.add_argument(
        "--role",
        metavar="NAME",
        type=checked(_role),
        help="with --fleet: who may use that table, besides whoever makes it",
    )
    sql.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="with --lint: take the channels that are listened to from this file of"
        " twistd doorbell, and the database unless another is given",
    )
    sql.add_argument("--apply", action="store_true", help="do it, in one transaction")
    add_place(sql)
    sql.set_defaults(run=lambda options: _run(sql, options))


def _add_options(sql: argparse.ArgumentParser) -> None:
    """Add what says how the table rings; with --lint there is none of it."""
    sql.add_argument(
        "--on",
        metavar="EVENT,...",
        type=checked(check_events),
        help=f"of {', '.join(EVENTS)}; all unless you say otherwise",
    )
    sql.add_argument("--when", metavar="SQL", help="ring if this holds for one of the rows changed")
    sql.add_argument(
        "--payload",
        choices=[str(kind) for kind in Payload],
        help="none unless you say otherwise; key: the primary keys as a JSON list;"
        " operation: a JSON object with schema, table and op",
    )
    sql.add_argument(
        "--limit",
        metavar="KEYS",
        type=checked(_number),
        help="with more keys than these, 100 unless you say otherwise, the payload is empty",
    )
    sql.add_argument(
        "--schema",
        metavar="NAME",
        type=checked(_schema),
        help="the function's; the table's unless you say otherwise",
    )


def _table(text: str) -> str:
    parse_table(text)
    return text


def _schema(text: str) -> str:
    parse_schema(text)
    return text


def _role(text: str) -> str:
    if not 0 < len(text.encode(errors="replace")) <= CHANNEL_LIMIT or "\0" in text:
        raise ValueError(f"{text[:80]!r} is no role: it must have 1 to {CHANNEL_LIMIT} bytes")
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 9 and int(text)):
        raise ValueError(f"{text!r} is no number from 1")
    return int(text)


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    how = {
        name: getattr(options, name)
        for name in ("on", "when", "payload", "limit")
        if getattr(options, name) is not None
    }
    try:
        _check(options, how)
        if options.lint:
            return _lint(options)
        sql = _sql(options, how)
    except ValueError as error:
        parser.error(str(error))
    if not options.apply:
        sys.stdout.write(sql)
        return 0
    return _apply(options, sql)


def _check(options: argparse.Namespace, how: dict[str, Any]) -> None:
    """
    Check which options go together.

    :raises ValueError: in words, when they don't.
    """
    if options.lint:
        if options.fleet or options.role or options.table or options.schema or options.apply or how:
            raise ValueError("--lint goes with --channel, --config, --dsn and --embedded only")
        return
    if options.config:
        raise ValueError("--config is for --lint")
    if options.fleet:
        if options.table or options.channel or options.schema or how:
            raise ValueError(
                "--fleet goes with --role, --apply, --remove, --dsn and --embedded only"
            )
        if options.role and options.remove:
            raise ValueError("--role says nothing to --remove")
    else:
        _check_trigger(options, how)
    if not options.apply and (options.dsn is not None or options.embedded):
        raise ValueError("without --apply nothing is done to a database: it prints")


def _check_trigger(options: argparse.Namespace, how: dict[str, Any]) -> None:
    if options.role:
        raise ValueError("--role is for --fleet")
    if not options.table:
        raise ValueError("a TABLE is required, or --fleet, or --lint")
    if len(options.channel) != 1:
        raise ValueError("one --channel is required; run it again for another one")
    if options.remove and how:
        raise ValueError(f"--{next(iter(how))} says nothing to --remove")


def _sql(options: argparse.Namespace, how: dict[str, Any]) -> str:
    if options.fleet:
        from txdoorbell.fleet import lease_table

        role = options.role
        sql = (
            lease_table.remove_lease_table_sql()
            if options.remove
            else lease_table.lease_table_sql(role=role)
        )
    elif options.remove:
        sql = remove_sql(options.table, options.channel[0], schema=options.schema)
    else:
        sql = trigger_sql(options.table, options.channel[0], schema=options.schema, **how)
    return f"begin;\n{_WAIT}\n\n{sql}\ncommit;\n"


def _apply(options: argparse.Namespace, sql: str) -> NoReturn:
    what = _done(options)

    async def apply(session: Session) -> None:
        await session.execute(sql, within=_ANSWER_TIMEOUT)

    def done(_: None, where: str) -> int:
        sys.stdout.write(printable(f"{what} ({where})") + "\n")
        return 0

    _visit(place(options), apply, done)


def _done(options: argparse.Namespace) -> str:
    """Return what has been done, in words."""
    if options.fleet:
        return f"leases are numbered{' no more' if options.remove else ''}"
    [channel] = options.channel
    if options.remove:
        return f"{options.table} no longer rings {channel}"
    return f"{options.table} rings {channel} on {', '.join(options.on or EVENTS)}"


def _lint(options: argparse.Namespace) -> NoReturn:
    listened, dsn = _configured(options) if options.config else (options.channel, place(options))

    async def lint(session: Session) -> Report:
        return await look(session, listened)

    def done(report: Report, where: str) -> int:
        lines = [f"warning: {text}" for text in report.warnings]
        lines += [f"note: {text}" for text in report.notes]
        count = len(report.warnings)
        lines.append(f"{count or 'no'} warning{'s' * (count != 1)} ({where})")
        sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
        return 1 if count else 0

    _visit(dsn, lint, done)


def _configured(options: argparse.Namespace) -> tuple[list[str], str]:
    """Return what a configuration listens to, and where."""
    from txdoorbell.config import ConfigError, read_config
    from txdoorbell.settling.credentials import with_password

    import_from_here()
    try:
        plan = read_config(options.config)
    except ConfigError as error:
        raise SystemExit("\n".join(f"txdoorbell sql: {one}" for one in error.problems)) from None
    listened = [*options.channel, *sorted(plan.channels)]
    database = plan.settings.database
    if options.dsn is not None or options.embedded:
        return listened, place(options)
    if database.embedded is not None:
        return listened, running_dsn(Path(database.embedded))
    return listened, with_password(database.dsn, database.password)


def _visit(
    dsn: str,
    ask: Callable[[Session], Awaitable[T]],
    done: Callable[[T, str], int],
) -> NoReturn:
    from twisted.internet.task import react

    async def main(reactor: Any) -> None:
        try:
            answer = await visit(reactor, dsn, ask)
        except Refused as error:
            raise SystemExit(f"txdoorbell sql: {error}") from None
        if status := done(answer, Dsn(dsn).description):
            raise SystemExit(status)

    react(main)
