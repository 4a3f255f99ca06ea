"""
What must be done so that tables are published, and what nobody but an administrator can do.

A publication of updates and deletes makes these *fail*, for everybody, on a table whose rows it
can't tell apart: one with neither a primary key nor another replica identity. So there are two
publications: one of everything, and one, ``_inserts``, of inserts and truncates only, for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from txdoorbell.notification import CHANNEL_LIMIT, quote_identifier
from txdoorbell.walreading.catalog import Facts, Publication, Relation, Tree
from txdoorbell.walreading.changes import OPERATIONS, Table

__all__ = [
    "Plan",
    "Trouble",
    "advice",
    "both_names",
    "check_publication",
    "lacks_replication",
    "make_plan",
    "troubles",
]

OLDEST = 130000
MESSAGES_SINCE = 140000
_SUFFIX = "_inserts"
_VIA_ROOT = "publish_via_partition_root = true"
_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "i": "an index",
    "I": "an index",
    "S": "a sequence",
    "c": "a type",
    "t": "a TOAST table",
}
_PERSISTENCE = {"u": "unlogged", "t": "a temporary table"}


class Trouble(Exception):
    """The log can't be read as asked; the text, one line, names the culprit and what to run."""


@dataclass(frozen=True)
class Plan:
    """
    What to run, in this order, and what to warn of.

    :ivar publications: those to read from, once all of that has been run.
    """

    statements: tuple[str, ...]
    warnings: tuple[str, ...]
    publications: tuple[str, ...]


def check_publication(name: str) -> str:
    """
    Return a publication's name, if there is room behind it for the name of the second one.

    :raises ValueError: when there isn't, or it is empty or can't be a name.
    """
    size = len(name.encode(errors="replace"))
    if not 0 < size <= CHANNEL_LIMIT - len(_SUFFIX) or "\0" in name:
        limit = CHANNEL_LIMIT - len(_SUFFIX)
        raise ValueError(f"publication {name[:80]!r} must have 1 to {limit} bytes of UTF-8")
    return name


def both_names(name: str) -> tuple[str, str]:
    """Return the names of both publications: of everything, and of inserts."""
    return name, name + _SUFFIX


def troubles(facts: Facts, tables: Iterable[Table], trees: Iterable[Tree]) -> None:
    """
    Look for what no statement of ours can mend.

    :raises Trouble: for the first that is found.
    """
    if facts.version < OLDEST:
        raise Trouble(f"PostgreSQL 13 or later is needed, this is {facts.version // 10000}")
    if facts.in_recovery:
        raise Trouble("the server is a standby: its log can't be read before it is promoted")
    if facts.wal_level != "logical":
        raise Trouble(
            f"wal_level is {facts.wal_level}: run ALTER SYSTEM SET wal_level = logical;"
            " and restart the server"
        )
    if facts.holds_up_commits:
        raise Trouble(
            f"synchronous_standby_names = '{facts.synchronous_names}' takes this session for a"
            f" standby: every COMMIT would wait for it. Name standbys there, and none"
            f" '{facts.application_name}'"
        )
    found = {tree.asked: tree.table for tree in trees}
    for table in sorted(tables):
        _check_table(table, found.get(table), facts.search_path)


def _check_table(asked: Table, table: Relation | None, search_path: str) -> None:
    if table is None:
        where = "" if "." in asked else f" in the search_path, {search_path}"
        raise Trouble(f"there is no table {asked}{where}")
    if table.kind not in "rp":
        kind = _KINDS.get(table.kind, f"of kind {table.kind}")
        raise Trouble(f"{table} is {kind}: only tables have changes in the log")
    if table.persistence in _PERSISTENCE:
        kind = _PERSISTENCE[table.persistence]
        raise Trouble(f"{table} is {kind}: its changes are not in the log")
    if table.schema in ("pg_catalog", "information_schema"):
        raise Trouble(f"{table} is a table of the system: it can't be published")


def make_plan(name: str, trees: Iterable[Tree], there: Mapping[str, Publication]) -> Plan:
    """
    Work out how these tables come to be published.

    :param name: of the publication of everything.
    :param there: the publications that there are.
    """
    trees = list(trees)
    all_, second = there.get(name), there.get(name + _SUFFIX)
    safe = all_ is not None and not all_.needs_identity
    nameless = [] if safe else [tree for tree in trees if not tree.identified]
    named = [tree for tree in trees if tree not in nameless]
    trapped = [r for r in _members(nameless) if all_ is not None and r.oid in all_.members]
    removable = [] if all_ is None or all_.all_tables else trapped
    statements = [
        *_publish(name, all_, named, always=True),
        *_publish(name + _SUFFIX, second, nameless),
        *_statement("ALTER PUBLICATION", name, "DROP TABLE", removable),
    ]
    warnings = [*_incomplete(all_, named), *map(_nameless, nameless)]
    if trapped and not removable:
        warnings.append(_trap(name, trapped))
    publications = (name, name + _SUFFIX) if nameless or second else (name,)
    return Plan(tuple(statements), tuple(warnings), publications)


def _publish(
    name: str, there: Publication | None, trees: list[Tree], *, always: bool = False
) -> list[str]:
    if there is None:
        if not (trees or always):
            return []
        only = "publish = 'insert, truncate', " if not always else ""
        tables = f" FOR TABLE {_listed(_members(trees))}" if trees else ""
        return [f"CREATE PUBLICATION {quote_identifier(name)}{tables} WITH ({only}{_VIA_ROOT})"]
    statements = []
    if not there.via_root and any(_has_partitions(tree) for tree in trees):
        statements.append(f"ALTER PUBLICATION {quote_identifier(name)} SET ({_VIA_ROOT})")
        # Until then its parts are listed in its place.
        trees = [tree for tree in trees if not _has_partitions(tree) or not _has_parts(there, tree)]
    missing = [
        relation
        for tree in trees
        if not there.members & {above.oid for above in tree.above}
        for relation in tree.members
        if relation.oid not in there.members
    ]
    return statements + _statement("ALTER PUBLICATION", name, "ADD TABLE", missing)


def _has_partitions(tree: Tree) -> bool:
    return tree.table.kind == "p"


def _has_parts(there: Publication, tree: Tree) -> bool:
    return any(part.oid in there.members for part in tree.below)


def _members(trees: Iterable[Tree]) -> list[Relation]:
    """Return what these trees ask of a publication, each once."""
    return list({r.oid: r for tree in trees for r in tree.members}.values())


def _listed(relations: Iterable[Relation]) -> str:
    return ", ".join(dict.fromkeys(relation.quoted for relation in relations))


def _statement(verb: str, name: str, what: str, relations: list[Relation]) -> list[str]:
    if not relations:
        return []
    return [f"{verb} {quote_identifier(name)} {what} {_listed(relations)}"]


def _incomplete(there: Publication | None, trees: list[Tree]) -> list[str]:
    if there is None or not trees or there.operations >= set(OPERATIONS):
        return []
    missing = ", ".join(op for op in OPERATIONS if op not in there.operations)
    return [f"publication {there.name} does not publish {missing}: that rings nothing"]


def _nameless(tree: Tree) -> str:
    culprit = next(r for r in (tree.table, *tree.below) if not r.identified)
    return (
        f"{culprit} has no primary key, nor another replica identity: its inserts and truncates"
        " ring, its updates and deletes do not, for to publish them would make them fail. Add a"
        f" primary key, or run ALTER TABLE {culprit.quoted} REPLICA IDENTITY FULL"
    )


def _trap(name: str, relations: list[Relation]) -> str:
    tables = ", ".join(map(str, relations))
    return (
        f"publication {name} publishes updates and deletes of {tables}, without a replica"
        " identity: PostgreSQL refuses them, whoever makes them"
    )


def advice(text: str, facts: Facts) -> str:
    """Return an error of opening the log, with what to run against it where that is known."""
    if "max_wal_senders" in text:
        return f"{text}: run ALTER SYSTEM SET max_wal_senders = {facts.senders + 10}; and restart"
    if "max_replication_slots" in text or "replication slots are in use" in text:
        slots = facts.slots + 10
        return f"{text}: run ALTER SYSTEM SET max_replication_slots = {slots}; and restart"
    if not facts.may_replicate:
        return f"{text}: {lacks_replication(facts)}"
    return text


def lacks_replication(facts: Facts) -> str:
    """Return what a role without REPLICATION lacks, and what to run."""
    role = quote_identifier(facts.role)
    return (
        f"role {facts.role} lacks REPLICATION: run ALTER ROLE {role} REPLICATION"
        f" (on Amazon RDS: GRANT rds_replication TO {role})"
    )
