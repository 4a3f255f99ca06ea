"""From the log's messages to what is told of them: to whom it matters, and once others see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.notification import Hearable, Notification
from txdoorbell.walreading.directory import Directory
from txdoorbell.walreading.pgoutput import Decoder, Event
from txdoorbell.walreading.visibility import Gate

__all__ = ["Hearers", "Teller"]

_Held = list[Event] | frozenset[str]
"""What a transaction did, or channels and tables that are to be caught up on for it."""


@dataclass(frozen=True)
class Hearers:
    """
    Who is told what.

    :ivar notified: each change and message that is wanted, in order of commit.
    :ivar changed: channels and tables that are to be caught up on.
    :ivar probed: each probe that has arrived.
    """

    notified: Callable[[Hearable], object]
    changed: Callable[[frozenset[str]], object]
    probed: Callable[[Notification], object]


class Teller:
    """
    Takes the log's messages, and tells what is of interest in them.

    :param look: asks what others see; see :class:`~txdoorbell.walreading.visibility.Gate`.
    :param failed: told when that has failed.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        directory: Directory,
        hearers: Hearers,
        look: Callable[[], Deferred[str]],
        failed: Callable[[Failure], object],
    ) -> None:
        self._directory = directory
        self._hearers = hearers
        self._gate: Gate[_Held] = Gate(reactor, look, self._release, failed)
        self._closed = False
        self.feed = Decoder(directory.interesting, self._read, directory.is_ours).feed
        """Take one message; see :meth:`txdoorbell.walreading.pgoutput.Decoder.feed`."""

    def catch_up(self, what: frozenset[str], number: int) -> None:
        """Have channels and tables caught up on once the transaction of this number is seen."""
        self._gate.when_seen(number, what)

    def close(self) -> None:
        """Tell nothing more."""
        self._closed = True
        self._gate.close()

    def _read(self, transaction: int, events: list[Event]) -> None:
        rest = []
        for event in events:
            probe = self._directory.probe(event)
            if probe is None:
                rest.append(event)
            else:
                self._hearers.probed(probe)
        if rest:
            self._gate.when_seen(transaction, rest)

    def _release(self, held: list[_Held]) -> None:
        """Tell what several transactions did that others see by now."""
        events: list[Event] = []
        for what in held:
            if isinstance(what, frozenset):
                self._hearers.changed(what)
            else:
                events += what
        for hearable in self._directory.hearables(events):
            if self._closed:
                return
            try:
                self._hearers.notified(hearable)
            except Exception:  # noqa: BLE001 - whoever fails, the rest is told
                log.err(None, "An observer of changes failed")
