"""Sees to it that tables are published, as far as this role may; else says who must run what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.logger import Logger

from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError, Session
from txdoorbell.walreading.catalog import Facts, Tree, ask_facts, ask_publications, ask_trees
from txdoorbell.walreading.changes import Table
from txdoorbell.walreading.plan import (
    Plan,
    Trouble,
    both_names,
    lacks_replication,
    make_plan,
    troubles,
)

__all__ = ["Prepared", "Publisher"]

_ATTEMPTS = 8
_OVERTAKEN = {"42710", "23505", "42704", "XX000"}
"""SQLSTATEs of a statement that another host was faster with: it is there already, it was just
being made, it is gone already, and "tuple concurrently updated", which has no other."""

_NOT_ALLOWED = "42501"


@dataclass(frozen=True)
class Prepared:
    """
    What is ready to be read.

    :ivar changed: whether something had to be done for it.
    """

    facts: Facts
    trees: tuple[Tree, ...]
    publications: tuple[str, ...]
    changed: bool


class Publisher:
    """
    Makes and mends the publications of one source.

    Tables are only added, never removed: others may read from the same publication. The exception
    is a table that has lost its primary key, which moves to the publication of inserts: until then
    its updates and deletes fail, for everybody.

    :param name: of the publication of everything.
    :param within: seconds for each question and statement.
    :param warn: given what an administrator should know, in one line, each time it is seen.
    """

    log = Logger()

    def __init__(self, name: str, within: float, warn: Callable[[str], None]) -> None:
        self._name = name
        self._within = within
        self._warn = warn

    async def prepare(self, session: Session, tables: frozenset[Table]) -> Prepared:
        """
        See to it that these tables are published.

        :param session: an ordinary one.
        :raises Trouble: when they are not, and won't be before somebody does something.
        :raises SessionEnded: when the session did not last.
        """
        changed = False
        for _ in range(_ATTEMPTS):
            facts = await ask_facts(session, self._within)
            trees = tuple(await ask_trees(session, tables, self._within))
            troubles(facts, tables, trees)
            plan = await self._plan(session, trees)
            if not plan.statements:
                for warning in plan.warnings:
                    self._warn(warning)
                return Prepared(facts, trees, plan.publications, changed)
            changed = True
            await self._run(session, plan, facts)
        raise Trouble(f"publication {self._name} does not keep what it is given")

    async def _plan(self, session: Session, trees: tuple[Tree, ...]) -> Plan:
        there = await ask_publications(session, both_names(self._name), trees, self._within)
        return make_plan(self._name, trees, there)

    async def _run(self, session: Session, plan: Plan, facts: Facts) -> None:
        for statement in plan.statements:
            try:
                await session.execute(statement, within=self._within)
                self.log.info("run, so that the log can be read: {sql}", sql=statement)
            except DatabaseError as error:
                if error.pgcode in _OVERTAKEN:
                    return
                raise Trouble(_refused(error, statement, plan, facts)) from None


def _refused(error: DatabaseError, statement: str, plan: Plan, facts: Facts) -> str:
    said = one_line(error.diag.message_primary or error)
    if error.pgcode != _NOT_ALLOWED:
        return f"{said}: {statement}"
    statements = "; ".join(plan.statements)
    refused = f"{said}, role {facts.role}: have who owns it run {statements}"
    return refused if facts.may_replicate else f"{refused}; and {lacks_replication(facts)}"
