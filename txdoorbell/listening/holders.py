"""Who holds the locks that a session wants, and how many others stand by: asked now and then."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import random

from txdoorbell.fleet.keys import lock_key
from txdoorbell.fleet.lease_table import SCHEMA, holders_sql
from txdoorbell.fleet.locking import Holder
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError, Row

__all__ = ["ABSENT", "AGE", "Holders", "keyed"]

ABSENT = ("3F000", "25006", "42501", "42703", "42P01")
"""SQLSTATEs of a table that isn't there, is another one, or may not be written."""

AGE = 30
"""How many heartbeats old may be what is known of holders, less up to a fifth, by lot."""

HASTE = 5
"""How many it is at least before they are asked for again, whatever has happened."""


def keyed(names: Iterable[str]) -> tuple[list[str], list[int]]:
    """Return names of locks, and their keys, as the statements of a fleet take them."""
    listed = list(names)
    return listed, [lock_key(name)[1] for name in listed]


class Holders:
    """
    What one session knows of its locks' holders.

    The question costs the server more than some tries, and more the more sessions there are. So it
    is asked rarely; sooner when something seems to have changed.

    :param query: asks the server.
    :param beat: seconds.
    :param warn_once: logs a text.
    """

    def __init__(
        self,
        query: Callable[[str, Sequence[object]], Awaitable[list[Row]]],
        now: Callable[[], float],
        beat: float,
        warn_once: Callable[[str], None],
        chance: Callable[[], float] = random,
    ) -> None:
        self._query = query
        self._now = now
        self._beat = beat
        self._warn_once = warn_once
        self._chance = chance
        self._known: dict[str, Holder] = {}
        self._schema: str | None = SCHEMA
        self._asked = self._due = -float("inf")

    def of(self, name: str) -> Holder | None:
        """Return what is known of a lock; None for nothing."""
        return self._known.get(name)

    def forget(self, names: Iterable[str]) -> None:
        """Know nothing of these any more, and ask soon: others may have changed hands, too."""
        for name in names:
            self._known.pop(name, None)
            self._due = min(self._due, self._asked + HASTE * self._beat)

    def table_is_there(self) -> None:
        """Learn that there is a table of leases, after all."""
        self._schema = SCHEMA

    async def look(self, names: Iterable[str]) -> None:
        """Ask who holds these, if it is time to."""
        if self._now() < self._due:
            return
        self._asked = self._now()
        self._due = self._asked + AGE * self._beat * (1.0 - 0.2 * self._chance())
        try:
            rows = await self._ask(keyed(names))
        except DatabaseError as error:
            self._warn_once(f"holders of locks can't be asked for: {one_line(error)}")
        else:
            self._known = {name: Holder(*known) for name, *known in rows}

    async def _ask(self, keys: tuple[list[str], list[int]]) -> list[Row]:
        try:
            return await self._query(holders_sql(self._schema), keys)
        except DatabaseError as error:
            if self._schema is None or error.pgcode not in ABSENT:
                raise
            self._schema = None
            return await self._query(holders_sql(None), keys)
