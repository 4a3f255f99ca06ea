"""Whether loops with a lock would have numbered leases, and who holds their locks now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txdoorbell.commands.checkup import CheckFailed
from txdoorbell.fleet.keys import lock_key
from txdoorbell.fleet.lease_table import SCHEMA, TABLE, holders_sql, table_name
from txdoorbell.fleet.locking import Holder
from txdoorbell.listening.visit import Refused, visit
from txdoorbell.settling.functions import Plan
from txdoorbell.status.figures import clock

if TYPE_CHECKING:
    from txdoorbell.listening.session import Row, Session

__all__ = ["check_locks"]

_CREATE = "txdoorbell sql --fleet --apply"
_TABLE = """
select leases.oid is not null, current_user::text, coalesce(bool_and(
    pg_catalog.has_table_privilege(leases.oid, may)), false)
from (select pg_catalog.to_regclass(%s)::oid as oid) as leases,
    pg_catalog.unnest(array['select', 'insert', 'update']) as may
group by leases.oid
"""


async def check_locks(
    reactor: Any, plan: Plan, dsn: str, say: Callable[[str, str], object]
) -> None:
    """
    See whether there is a table of leases that may be used, and who holds each lock.

    :param say: told each thing that was found: a word for how good that is, and a text.
    :raises CheckFailed: when the server can't be asked.
    """
    within = plan.settings.database.query_timeout
    keys = [lock_key(name)[1] for name in plan.locks]

    async def ask(session: Session) -> tuple[Row, list[Row]]:
        [table] = await session.query(_TABLE, [table_name()], within=within)
        sql = holders_sql(SCHEMA if table[2] else None)
        return table, await session.query(sql, [list(plan.locks), keys], within=within)

    try:
        (there, role, usable), rows = await visit(reactor, dsn, ask)
    except Refused as error:
        raise CheckFailed(str(error)) from None
    if usable:
        say("ok", f"leases are numbered in {SCHEMA}.{TABLE}")
    elif there:
        say("warning", f"{SCHEMA}.{TABLE} is not for {role}: {_CREATE} --role {role}")
    else:
        say("warning", f"leases have no numbers, for there is no {SCHEMA}.{TABLE}: {_CREATE}")
    holders = {name: Holder(*holder) for name, *holder in rows}
    for name in plan.locks:
        say("ok", f"lock {name} is {_held(holders[name]) if name in holders else 'free'}")


def _held(holder: Holder) -> str:
    since = "" if holder.since is None else f", since {clock(holder.since)}"
    number = "" if holder.number is None else f", lease {holder.number}"
    return f"held by {holder}{since}{number}"
