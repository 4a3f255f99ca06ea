"""
What the catalog says of the tables that are asked for, and of the publications they are in.

Only questions; what is to be done about the answers is in :mod:`txdoorbell.walreading.plan`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from txdoorbell.listening.session import Session
from txdoorbell.triggers.names import qualified
from txdoorbell.walreading.changes import Table, shown

__all__ = ["Facts", "Publication", "Relation", "Tree", "ask_facts", "ask_publications", "ask_trees"]

_FACTS = """
select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('wal_level'),
    session_user::text,
    coalesce(role.rolreplication or role.rolsuper, false) or exists (
        select from pg_catalog.pg_roles as rds
        where rds.rolname = 'rds_replication'
        and pg_catalog.pg_has_role(session_user, rds.oid, 'member')),
    pg_catalog.current_setting('max_replication_slots')::int,
    pg_catalog.current_setting('max_wal_senders')::int,
    pg_catalog.current_setting('synchronous_standby_names'),
    pg_catalog.current_setting('application_name'),
    pg_catalog.current_setting('search_path'),
    pg_catalog.current_setting('server_version_num')::int
from (select) as nothing left join pg_catalog.pg_roles as role on role.rolname = session_user
"""

_TREES = """
with recursive
wanted as (
    select name, pg_catalog.to_regclass(name)::oid as oid
    from pg_catalog.unnest(%s::text[]) as name
),
below(name, oid) as (
    select name, oid from wanted where oid is not null
    union select below.name, inhrelid
    from below join pg_catalog.pg_inherits on inhparent = below.oid
),
above(name, oid) as (
    select name, oid from wanted where oid is not null
    union select above.name, inhparent
    from above join pg_catalog.pg_class on pg_class.oid = above.oid and relispartition
    join pg_catalog.pg_inherits on inhrelid = above.oid
),
tree(name, oid, is_above) as (
    select name, oid, false from below
    union all select above.name, above.oid, true from above join wanted using (name)
    where above.oid <> wanted.oid
)
select tree.name, tree.is_above, tree.oid = wanted.oid, tree.oid::bigint, nspname::text,
    relname::text, relkind::text, relpersistence::text,
    case
    when relkind = 'p' then exists (
        select from pg_catalog.pg_index
        where indrelid = tree.oid and indisprimary and indisunique and indimmediate)
    when relreplident = 'f' then true
    when relreplident = 'n' then false
    else exists (
        select from pg_catalog.pg_index
        where indrelid = tree.oid and indisvalid and indisunique and indimmediate
        and indpred is null
        and case relreplident when 'd' then indisprimary else indisreplident end)
    end
from tree join wanted using (name)
join pg_catalog.pg_class on pg_class.oid = tree.oid
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
order by tree.name, tree.is_above, tree.oid <> wanted.oid, nspname, relname
"""
"""Each table with what is below it, partitions and heirs, and the partitioned tables above it. Of
each, whether UPDATE and DELETE go on working once they are published: whether a row can be told
from the others. A partitioned table needs a primary key for that: its next partition inherits it,
but not another replica identity."""

_PUBLICATIONS = """
select pubname::text, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
    array(
        select member.relid::bigint
        from pg_catalog.pg_get_publication_tables(pubname::text) as member
        where member.relid = any (%s::bigint[]::oid[]))
from pg_catalog.pg_publication where pubname = any (%s::text[])
"""


class Facts(NamedTuple):
    """What is so in the whole server, and who asks."""

    in_recovery: bool
    wal_level: str
    role: str
    may_replicate: bool
    slots: int
    senders: int
    synchronous_names: str
    application_name: str
    search_path: str
    version: int

    @property
    def holds_up_commits(self) -> bool:
        """Whether COMMIT would wait for a replication session of this name."""
        names = re.findall(r'"(?:[^"]|"")*"|[^\s,()"]+', _standbys(self.synchronous_names))
        plain = {name[1:-1].replace('""', '"') if name[0] == '"' else name for name in names}
        return "*" in plain or self.application_name.lower() in map(str.lower, plain)


def _standbys(names: str) -> str:
    """Return the list of standbys, without how many of them are waited for."""
    counted = re.fullmatch(r"\s*(?:(?:any|first)\s+)?\d+\s*\((.*)\)\s*", names, re.I | re.S)
    return counted[1] if counted else names


class Relation(NamedTuple):
    """
    A table as the catalog has it.

    :ivar identified: whether its rows can be told apart by a publication of updates and deletes.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    identified: bool

    def __str__(self) -> str:
        return shown(self.schema, self.name)

    @property
    def quoted(self) -> str:
        """Its name for SQL."""
        return qualified(self.schema, self.name)


@dataclass(frozen=True)
class Tree:
    """
    A table that is asked for, and its family.

    :ivar below: its partitions and heirs, and theirs.
    :ivar above: the partitioned tables that it is a part of.
    """

    asked: Table
    table: Relation
    below: tuple[Relation, ...] = ()
    above: tuple[Relation, ...] = ()

    @property
    def oids(self) -> frozenset[int]:
        """All whose changes may be changes of this table."""
        return frozenset(r.oid for r in (self.table, *self.below, *self.above))

    @property
    def members(self) -> tuple[Relation, ...]:
        """What a publication must have: a partitioned table comes with its partitions."""
        return (self.table,) if self.table.kind == "p" else (self.table, *self.below)

    @property
    def identified(self) -> bool:
        """Whether a publication of its updates and deletes would make none of them fail."""
        return all(relation.identified for relation in (self.table, *self.below))


@dataclass(frozen=True)
class Publication:
    """
    A publication that there is.

    :ivar operations: what it publishes.
    :ivar via_root: whether changes of a partition are told as changes of the whole table.
    :ivar members: which of the tables in question it has.
    """

    name: str
    all_tables: bool
    operations: frozenset[str]
    via_root: bool
    members: frozenset[int]

    @property
    def needs_identity(self) -> bool:
        """Whether it makes UPDATE or DELETE fail on a table whose rows it can't tell apart."""
        return bool(self.operations & {"update", "delete"})


async def ask_facts(session: Session, within: float) -> Facts:
    """Ask what is so in the whole server."""
    [row] = await session.query(_FACTS, within=within)
    return Facts(*row)


async def ask_trees(session: Session, tables: Iterable[Table], within: float) -> list[Tree]:
    """Ask for tables and their families; those that don't exist are missing in the answer."""
    names = {str(table): table for table in tables}
    rows = await session.query(_TREES, [list(names)], within=within)
    families: dict[str, tuple[list[Relation], list[Relation]]] = {}
    for name, is_above, _, *row in rows:
        families.setdefault(name, ([], []))[is_above].append(Relation(*row))
    return [
        Tree(names[name], table, tuple(below), tuple(above))
        for name, ((table, *below), above) in families.items()
    ]


async def ask_publications(
    session: Session, names: Iterable[str], trees: Iterable[Tree], within: float
) -> dict[str, Publication]:
    """Ask for those publications that there are, with what they have of these tables."""
    oids = sorted({oid for tree in trees for oid in tree.oids})
    rows = await session.query(_PUBLICATIONS, [oids, list(names)], within=within)
    found = {}
    for name, all_tables, insert, update, delete, truncate, via_root, members in rows:
        flags = {"insert": insert, "update": update, "delete": delete, "truncate": truncate}
        operations = frozenset(operation for operation, has in flags.items() if has)
        found[name] = Publication(name, all_tables, operations, via_root, frozenset(members))
    return found
