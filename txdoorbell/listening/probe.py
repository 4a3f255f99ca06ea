"""
The probe: whether the listening session can still hear.

A ring sent on that session itself would prove nothing: it comes back even through a pooler that
loses all others. So each probe rings from a new connection, as a stranger would; it reaches the
server that strangers reach, which after a failover is another one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txdoorbell.clocks import monotonic_of
from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.connector import Connector, Timing
from txdoorbell.listening.deadline import Deadline
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.queuewatch import QueueWatch
from txdoorbell.listening.session import DatabaseError, Session
from txdoorbell.notification import Hearable

__all__ = ["Probe", "ProbeFailed", "Probed", "Prober"]

_USAGE = "pg_catalog.pg_notification_queue_usage()"
_RING = f"select pg_catalog.pg_notify(%s, %s), {_USAGE}"


class ProbeFailed(Exception):
    """A probe wasn't heard in time or could not be sent, or nobody was listening."""


class Probed(Protocol):
    """
    The session that is probed: what a prober asks of it, and tells it.

    Of each probe that isn't stopped one thing is told: heard, silent or unsent.
    """

    @property
    def last_read(self) -> float:
        """When something was read from it, on the reactor's monotonic clock."""

    def when_ready(self) -> Deferred[None]:
        """Return a fresh Deferred that fires once it should hear; never, when it ends before."""

    def heard(self) -> None:
        """Learn that the ring was heard."""

    def silent(self, reason: str) -> None:
        """Learn that the ring was committed, and not heard in time."""

    def unsent(self, reason: str) -> None:
        """Learn that the ring could not be sent in time: whether it would be heard isn't known."""


@dataclass
class Probe:
    """
    One ring on the private channel. Its deadline exists while it is sent and not heard.

    The session is the watch's, to be closed, once it is known how full the queue is.
    """

    token: str
    session: Session
    usage: float | None = None
    ready: bool = False
    rung_at: float = 0.0
    latency: float | None = None
    deadline: Deadline | None = None

    def cancel(self) -> None:
        """Wait for it no more."""
        if self.usage is None:
            self.session.close()
        if self.deadline is not None:
            self.deadline.cancel()


class Prober:
    """
    Rings a private channel now and then, one probe at a time.

    Its first probe begins at once, the next a while after each one's end. One that could not be
    sent is repeated sooner. Before each the session is to make ready.

    :param timing: ``probe_interval`` is from the end of one to the start of the next;
        ``probe_timeout`` is for sending, and again for hearing, where a session that is busy
        reading has it twice.
    :param retry: from the number of probes not sent in a row to the seconds until the next.
    :param probed: the session, told what came of each.
    :param announcer: calls those who wait for a probe.
    :param watch: given each probe's connection, when the ring is sent or could not be sent.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        connector: Connector,
        timing: Timing,
        retry: Callable[[int], float],
        probed: Probed,
        announcer: Announcer,
        watch: QueueWatch,
    ) -> None:
        self.channel = f"txdoorbell_{os.urandom(8).hex()}"
        self.latency: float | None = None
        self.queue_usage: float | None = None
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._connector = connector
        self._timing = timing
        self._retry = retry
        self._probed = probed
        self._announcer = announcer
        self._watch = watch
        self._unsent = 0
        self._probe: Probe | None = None
        self._next: IDelayedCall | None = None
        self._waiters: list[Deferred[float]] = []

    @property
    def has_session(self) -> bool:
        """Whether the session makes ready, or a ring has been sent that it is to hear."""
        probe = self._probe
        return probe is not None and not (probe.ready and probe.deadline is None)

    def probe(self) -> Deferred[float]:
        """
        Probe now, or share in the probe that is under way.

        :returns: a fresh Deferred with the seconds from sending to hearing; it fails with
            :exc:`ProbeFailed`.
        """
        waiter: Deferred[float] = Deferred()
        self._waiters.append(waiter)
        self.start()
        return waiter

    def start(self) -> None:
        """Begin a probe, and go on with others; nothing when one is under way."""
        if self._probe is not None:
            return
        self._cancel_next()
        self._probe = probe = Probe(
            os.urandom(8).hex(), self._connector.session(lambda reason: None)
        )
        self._probed.when_ready().addCallback(lambda _: self._begin(probe))

    def _begin(self, probe: Probe) -> None:
        if probe is not self._probe:
            return
        probe.ready = True
        sent = probe.session.expect(
            Deferred.fromCoroutine(self._send(probe)), "not sent", self._timing.probe_timeout
        )
        sent.addCallbacks(self._sent, self._failed, callbackArgs=(probe,), errbackArgs=(probe,))

    def stop(self) -> None:
        """Probe no more; those who wait for a probe are failed."""
        self._cancel_next()
        self._watch.stop()
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.cancel()
        self._tell(ProbeFailed("the session has ended"))

    def hear(self, notification: Hearable) -> None:
        """Take what came on the private channel."""
        probe = self._probe
        if probe is None or notification.payload != probe.token or probe.latency is not None:
            return
        probe.latency = self._now() - probe.rung_at
        if probe.deadline is not None:
            self._heard(probe.latency)

    async def _send(self, probe: Probe) -> None:
        await self._connector.connect(probe.session)
        probe.rung_at = self._now()
        ring, within = (self.channel, probe.token), self._timing.query_timeout
        try:
            [(_, probe.usage)] = await probe.session.query(_RING, ring, within=within)
        except DatabaseError:
            # The queue may be full.
            [(probe.usage,)] = await probe.session.query(f"select {_USAGE}", within=within)
            raise

    def _sent(self, _: object, probe: Probe) -> None:
        self._look_at_queue(probe)
        if probe.latency is not None:
            self._heard(probe.latency)
        else:
            probe.deadline = Deadline(
                self._reactor,
                self._timing.probe_timeout,
                self._not_heard,
                lambda: self._probed.last_read,
            )

    def _failed(self, failure: Failure, probe: Probe) -> None:
        if probe is not self._probe:
            return
        self._look_at_queue(probe)
        if probe.latency is not None:
            self._heard(probe.latency)
            return
        self._unsent += 1
        reason = f"a probe could not be sent: {one_line(failure.value)}"
        self._finish(ProbeFailed(reason), self._retry(self._unsent))
        self._probed.unsent(reason)

    def _look_at_queue(self, probe: Probe) -> None:
        if probe.usage is not None:
            self.queue_usage = probe.usage
            self._watch.look(probe.usage, probe.session)

    def _heard(self, latency: float) -> None:
        self._unsent = 0
        self.latency = latency
        self._finish(latency, self._timing.probe_interval)
        self._probed.heard()

    def _not_heard(self) -> None:
        reason = f"a ring on its private channel wasn't heard in {self._timing.probe_timeout:g} s"
        self._finish(ProbeFailed(reason), self._timing.probe_interval)
        self._probed.silent(reason)

    def _finish(self, result: float | ProbeFailed, until_next: float) -> None:
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        if until_next:
            self._next = self._reactor.callLater(until_next, self.start)
        self._tell(result)

    def _tell(self, result: float | ProbeFailed) -> None:
        waiters, self._waiters = self._waiters, []
        if waiters:
            self._announcer.later(lambda: _fire(waiters, result))

    def _cancel_next(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None


def _fire(waiters: list[Deferred[float]], result: float | ProbeFailed) -> None:
    for waiter in waiters:
        if isinstance(result, ProbeFailed):
            waiter.errback(result)
        else:
            waiter.callback(result)
