"""Which loops hear which channels."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from twisted.internet.defer import Deferred, gatherResults

from txdoorbell.loops.causes import Cause
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.notification import check_channels
from txdoorbell.switchboard import Switchboard
from txdoorbell.walreading.changes import Table, TableChange, check_tables


class Wiring:
    """
    Keeps every loop connected to the channels and tables that ring it.

    These are those common to all loops, and those that the loop's own functions name, at any time.

    :param channels: one or several that ring all loops.
    """

    def __init__(self, switchboard: Switchboard, channels: str | Iterable[str]) -> None:
        self._switchboard = switchboard
        self._common = frozenset(check_channels(channels))
        self._common_tables: frozenset[Table] = frozenset()
        self._heard: dict[LoopBase, frozenset[str]] = {}
        self._heard_of: dict[LoopBase, frozenset[Table]] = {}
        self._tables: frozenset[Table] = frozenset()
        self.on_tables: Callable[[frozenset[Table]], object] | None = None
        """Called with :attr:`tables` when they have changed; None for nobody."""

    @property
    def loops(self) -> tuple[LoopBase, ...]:
        """The loops, in order of adding."""
        return tuple(self._heard)

    @property
    def channels(self) -> frozenset[str]:
        """All channels that ring a loop."""
        return self._common.union(*self._heard.values())

    @property
    def tables(self) -> frozenset[Table]:
        """All tables that ring a loop."""
        return self._tables

    def add_loop(self, loop: LoopBase) -> None:
        """Connect a loop."""
        self._heard[loop] = frozenset()
        loop.on_channels = self._connect
        self._connect()

    def add_channels(self, names: str | Iterable[str]) -> None:
        """Let further channels ring all loops; nothing is added when one is refused."""
        self._common |= frozenset(check_channels(names))
        self._connect()

    def add_tables(self, names: str | Iterable[str]) -> None:
        """
        Let changes of further tables ring all loops, by the write-ahead log.

        :param names: one or several, named as in SQL.
        :raises ValueError: for text that is no name; nothing is added then.
        """
        self._common_tables |= check_tables(names)
        self._connect()

    def remove_tables(self, names: str | Iterable[str]) -> None:
        """
        Let these tables ring all loops no more; those that functions name ring on.

        :raises KeyError: for a table that isn't there; nothing is removed then.
        """
        gone = check_tables(names)
        if gone - self._common_tables:
            raise KeyError(", ".join(sorted(gone - self._common_tables)))
        self._common_tables -= gone
        self._connect()

    def remove_channels(self, names: str | Iterable[str]) -> None:
        """
        Remove channels from the switchboard; those that functions name come back.

        :raises KeyError: for a channel that isn't there; nothing is removed then.
        """
        gone = frozenset(check_channels(names))
        self._switchboard.remove_channels(gone)
        self._common -= gone
        self._heard = {loop: heard - gone for loop, heard in self._heard.items()}
        self._connect()

    def _connect(self) -> None:
        for loop, heard in self._heard.items():
            wanted = self._common | loop.channels
            self._heard[loop] = wanted
            if heard - wanted:
                self._switchboard.unobserve(loop.notified, heard - wanted)
            if wanted - heard:
                self._switchboard.observe(loop.notified, wanted - heard, loop.notified_all)

        self._connect_tables()

    def _connect_tables(self) -> None:
        before = self._tables
        self._heard_of = {loop: self._common_tables | loop.tables for loop in self._heard}
        self._tables = self._common_tables.union(*self._heard_of.values())
        if self._tables != before and self.on_tables is not None:
            self.on_tables(self._tables)

    def changed(self, change: TableChange) -> None:
        """Ring the loops that hear of this table."""
        for loop, tables in self._heard_of.items():
            if tables & change.asked_as:
                loop.changed(change)

    def take_turns(self) -> None:
        """Let each loop that was rung by several notifications begin."""
        for loop in self._heard:
            loop.heard_all()

    def ring_all(self, cause: Cause) -> None:
        """Ring every function of every loop."""
        for loop in self._heard:
            loop.trigger(cause)

    def ring_missed(self, channels: frozenset[str], *, fresh: bool) -> None:
        """
        Ring those who may have missed something: who hear any of these channels, or tables.

        :param fresh: whether the session is a new one, by which everybody may have.
        """
        if fresh:
            self.ring_all(Cause.RECONNECT)
            return
        for loop, heard in self._heard.items():
            missed = (heard | self._heard_of[loop]) & channels
            if missed:
                loop.missed(missed)

    def when_quiet(self) -> Deferred[list[None]]:
        """Wait until each loop has been quiet."""
        return gatherResults([loop.when_quiet() for loop in self._heard])

    def stop(self, then: Callable[[LoopBase], Deferred[None]]) -> Deferred[list[None]]:
        """
        Stop all loops.

        :param then: called with each loop that has stopped.
        :returns: fires when nothing of any of them is active any more, and what that has asked for
            has been done.
        """
        stopping = [
            loop.stopService().addCallback(lambda _, stopped: then(stopped), loop)
            for loop in self._heard
        ]
        return gatherResults(stopping, consumeErrors=True)


def name_apart(loop: LoopBase, taken: Container[str]) -> None:
    """Give a loop whose name is taken a number."""
    name, number = loop.name, 1
    while loop.name in taken:
        number += 1
        loop.rename(f"{name}-{number}")
