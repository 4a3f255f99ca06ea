"""How sessions show each other what they stand by for."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from txdoorbell.fleet.lease_table import STAND_DOWN_SQL, STAND_SQL
from txdoorbell.listening.holders import keyed
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError

__all__ = ["MOST", "Standing"]

MOST = 16
"""For how many locks a session shows that it wants them: each takes an entry of the lock table."""


class Standing:
    """
    The shared locks of one session, one for each lock that it wants: whoever looks can count them.

    :param query: asks the server.
    :param warn_once: logs a text.
    """

    def __init__(
        self,
        query: Callable[[str, Sequence[object]], Awaitable[object]],
        warn_once: Callable[[str], None],
    ) -> None:
        self._query = query
        self._warn_once = warn_once
        self._wanted: frozenset[str] = frozenset()
        self._shown: frozenset[str] = frozenset()
        self._following = False

    @property
    def wanted(self) -> frozenset[str]:
        """All locks that are wanted on the session."""
        return self._wanted

    @property
    def counts(self) -> bool:
        """Whether standbys can be counted: the others show theirs, as this one does."""
        return len(self._wanted) <= MOST

    def want(self, names: Iterable[str]) -> None:
        """Want these locks and no others; :meth:`follow` shows it."""
        self._wanted = frozenset(names)

    def undone(self) -> None:
        """Learn that nothing is shown any more."""
        self._shown = frozenset()

    async def follow(self) -> None:
        """Show what is wanted; what the server refuses to show stays unshown."""
        if self._following:
            return
        self._following = True
        try:
            while (target := self._wanted if self.counts else frozenset()) != self._shown:
                await self._change(target - self._shown, self._shown - target)
                self._shown = target
        except DatabaseError as error:
            self._warn_once(f"others can't see what stands by here: {one_line(error)}")
        finally:
            self._following = False

    async def _change(self, more: frozenset[str], less: frozenset[str]) -> None:
        for names, sql in ((more, STAND_SQL), (less, STAND_DOWN_SQL)):
            if names:
                await self._query(sql, (keyed(sorted(names))[1],))
