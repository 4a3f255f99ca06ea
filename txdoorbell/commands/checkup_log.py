"""Whether the second bell would ring: the tables are there, and the write-ahead log can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txdoorbell.commands.checkup import CheckFailed, heard, probed
from txdoorbell.listening.visit import Refused, visit
from txdoorbell.settling.assembly import wal_options
from txdoorbell.settling.functions import Plan
from txdoorbell.wal import WalSource, check_tables
from txdoorbell.walreading import plan as publishing
from txdoorbell.walreading.catalog import ask_facts, ask_publications, ask_trees

if TYPE_CHECKING:
    from txdoorbell.listening.session import Session

__all__ = ["check_log"]


async def check_log(reactor: Any, plan: Plan, dsn: str, say: Callable[[str, str], object]) -> None:
    """
    Look up every table; where they are published, read the log, write a message to it and hear it.

    Nothing is changed: a publication that the service would make is told, and not made.

    :param say: told of each step, and of what is to be known beside: a word for how it ended, and
        a text.
    :raises CheckFailed: at the first step that can't be taken.
    """
    names = ", ".join(sorted(plan.tables))
    todo = await _plan(reactor, plan, dsn)
    say("ok", f"there {'is the table' if len(plan.tables) == 1 else 'are the tables'} {names}")
    for warning in todo.warnings:
        say("warning", warning)
    if todo.statements:
        say("skipped", f"reading the log: the service first runs {'; '.join(todo.statements)}")
        return
    options = wal_options(plan.settings)
    source = WalSource(reactor, dsn, tables=plan.tables, name="check", **options)
    async with heard(reactor, source, plan.settings):
        say("ok", f"the log is read for {names}")
        say("ok", f"a message in the log is heard, after {await probed(source, 'a message')}")


async def _plan(reactor: Any, plan: Plan, dsn: str) -> publishing.Plan:
    tables = check_tables(plan.tables)
    within, name = plan.settings.database.query_timeout, plan.settings.wal.publication

    async def ask(session: Session) -> publishing.Plan:
        facts = await ask_facts(session, within)
        trees = await ask_trees(session, tables, within)
        publishing.troubles(facts, tables, trees)
        both = publishing.both_names(name)
        there = await ask_publications(session, both, trees, within)
        return publishing.make_plan(name, trees, there)

    try:
        return await visit(reactor, dsn, ask)
    except (Refused, publishing.Trouble) as error:
        raise CheckFailed(str(error)) from None
