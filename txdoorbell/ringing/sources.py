"""The sources of a doorbell: a listener, and what hears of tables, as long as any is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.application.service import IService
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from txdoorbell.loops.awaiting import logged
from txdoorbell.notification import Hearable, Source, State
from txdoorbell.ringing.ear import Ear
from txdoorbell.ringing.wiring import Wiring
from txdoorbell.walreading.changes import Table, TableChange, TableSource

__all__ = ["LogAudience", "Sources"]


class Sources:
    """
    Makes a second source when the first table is asked for, and lets go of it with the last.

    :param listener: the first one.
    :param make: makes the second one.
    :param adopt: makes a source a child service.
    :param ear: is told what both tell, but for changes of tables.
    :param wiring: says which tables are asked for, and rings those who hear of them.
    :ivar second: None while no table is asked for.
    :ivar audience: that of the second one.
    """

    def __init__(
        self,
        listener: Source,
        make: Callable[[], TableSource],
        adopt: Callable[[Source], object],
        ear: Ear,
        wiring: Wiring,
    ) -> None:
        self.second: TableSource | None = None
        self._listener = listener
        self._ear = ear
        self._wiring = wiring
        self._make = make
        self._adopt = adopt
        self._channels: frozenset[str] = frozenset()
        self.audience: LogAudience | None = None
        wiring.on_tables = self.want
        listener.report_to(ear)
        adopt(listener)

    def hear(self) -> bool:
        """Say whether nothing of what is asked for goes unheard."""
        states = {
            self._listener.state,
            State.LISTENING if self.second is None else self.second.state,
        }
        return states == {State.LISTENING}

    def when_listening(self) -> Deferred[None]:
        """Return a fresh Deferred that fires once all that is asked for is heard."""
        return self._listener.when_listening().addCallback(self._when_second_is)

    def _when_second_is(self, _: None) -> Deferred[None]:
        return succeed(None) if self.second is None else self.second.when_listening()

    def set_channels(self, channels: frozenset[str]) -> None:
        """Want these channels of each source."""
        self._channels = channels
        self._listener.set_channels(channels)
        if self.second is not None:
            self.second.set_channels(channels)

    def want(self, tables: frozenset[Table]) -> None:
        """Want changes of these tables, and no others."""
        if self.second is not None and tables:
            self.second.set_tables(tables)
        elif self.second is not None:
            self._let_go(self.second)
        elif tables:
            self._begin(tables)

    def _begin(self, tables: frozenset[Table]) -> None:
        self.second = source = self._make()
        self.audience = LogAudience(self._ear, self._wiring)
        source.report_to(self.audience)
        source.set_tables(tables)
        source.set_channels(self._channels)
        self._ear.second_changed(source.state)
        self._adopt(source)

    def _let_go(self, source: TableSource) -> None:
        if self.audience is not None:
            self.audience.deafen()
        self.second = self.audience = None
        self._ear.second_changed(None)
        leaving = maybeDeferred(IService(source).disownServiceParent)
        leaving.addErrback(logged("the reader of the write-ahead log did not stop"))


class LogAudience:
    """
    The audience of one source.

    :ivar listened: the channels and tables that its last session has heard of.
    :ivar rung: how often each table was heard to be changed, by its name with the schema.
    :ivar since: epoch seconds of the last change of its state; None before the first.
    :ivar reason: why it changed.
    """

    def __init__(self, ear: Ear, wiring: Wiring) -> None:
        self.listened: frozenset[str] = frozenset()
        self.since: float | None = None
        self.reason = ""
        self.rung: Counter[str] = Counter()
        self._ear: Ear | None = ear
        self._wiring = wiring

    def deafen(self) -> None:
        """Hear nothing more of a source that isn't ours any more."""
        self._ear = None

    def notified(self, notification: Hearable) -> None:
        """Pass it on: a change to those who hear of the table, a message to its channel."""
        if self._ear is None:
            return
        if isinstance(notification, TableChange):
            self.rung[notification.table] += 1
            self._ear.broken_silence()
            self._wiring.changed(notification)
        else:
            self._ear.notified(notification)

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """Make good what could not be heard before."""
        if self._ear is None:
            return
        self.listened = channels if fresh else self.listened | channels
        self._wiring.ring_missed(channels, fresh=fresh)

    def state_changed(self, state: State, reason: str) -> None:
        """Let the ear judge whether all is heard."""
        if self._ear is not None:
            self.since, self.reason = self._ear.now, reason
            self._ear.second_changed(state)
