"""What a loop shows to those who ring it, and to those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import log

from txdoorbell.loops.causes import Cause
from txdoorbell.loops.loop_snapshot import loop_status
from txdoorbell.loops.runner import Runner
from txdoorbell.loops.states import State
from txdoorbell.loops.waiters import Waiters
from txdoorbell.notification import Hearable
from txdoorbell.processor import Processor
from txdoorbell.status import LoopStatus
from txdoorbell.walreading.changes import Table, TableChange, tables_in

_DEAF = (State.STOPPING, State.STOPPED)


class Ringable:
    """Rings, quiet, muting and submitted work: all of a loop that is not a service."""

    log = Logger()
    name: str | None

    def _take_runner(self, runner: Runner) -> None:
        self._runner = runner
        self._agenda = runner.agenda
        self._quiet_waiters = Waiters(self.is_quiet)

    # -- rings

    def trigger(self, cause: Cause = Cause.RING) -> None:
        """
        Ring for everyone: a full run begins after this.

        Before the start it is remembered; after a stop it is ignored, and logged.

        :param cause: why, for those who count.
        """
        if self._accepts("trigger()"):
            self._agenda.ring(cause)
            self._runner.ring()

    def notified(self, notification: Hearable) -> None:
        """
        Ring for those whose ``channels`` and ``interested`` match.

        :param notification: ours, or psycopg2's ``Notify``: this is a txpostgres notify observer.
        """
        if self._listens and self._agenda.notified(notification):
            self._runner.ring()

    def notified_all(self, channel: str, notifications: Sequence[Hearable]) -> None:
        """
        Ring for those who match any of these notifications, all of one channel.

        The loop begins when :meth:`heard_all` says that these were all.
        """
        if self._runner.state not in _DEAF and self._agenda.notified_all(channel, notifications):
            self._runner.ring(ahead=True)

    def changed(self, change: TableChange) -> None:
        """Ring for those whose ``tables`` and ``interested`` match the change of a table."""
        if self._listens and self._agenda.changed(change):
            self._runner.ring()

    def heard_all(self) -> None:
        """Begin, if :meth:`notified_all` has rung; to be called in the same turn of the reactor."""
        self._runner.take_turn()

    def missed(self, channels: Iterable[str]) -> None:
        """Ring for those who hear any of these channels or tables: something may be new there."""
        if self._listens and self._agenda.ring_channels(channels):
            self._runner.ring()

    @property
    def _listens(self) -> bool:
        return self._runner.state not in _DEAF

    def _accepts(self, what: str) -> bool:
        if self._listens:
            return True
        self.log.info("{loop} has stopped: {what} is ignored", loop=self.name, what=what)
        return False

    @property
    def rung(self) -> int:
        """The number of the last ring."""
        return self._agenda.rung

    @property
    def covered(self) -> int:
        """The number of the last ring that a completed full run has served."""
        return self._agenda.covered

    @property
    def announced(self) -> int:
        """How many rings there were that somebody sent: notifications, and triggers like them."""
        return self._agenda.announced

    @property
    def announced_before_run(self) -> int:
        """How many of those there were when the last run began."""
        return self._agenda.announced_before_run

    @property
    def runs(self) -> Mapping[str, int]:
        """How many runs began, by cause: ring, reconnect, start, wakeup, remaining, interval."""
        return self.status().runs

    @property
    def finds(self) -> Mapping[str, int]:
        """How often a function said that it had found work, by the cause of its call."""
        return self.status().finds

    def status(self) -> LoopStatus:
        """Return a snapshot of how the loop is, and each of its functions."""
        return loop_status(self._runner)

    @property
    def on_find(self) -> Callable[[Processor], None] | None:
        """Called each time a function has said so; None for nobody."""
        return self._runner.results.on_find

    @on_find.setter
    def on_find(self, function: Callable[[Processor], None] | None) -> None:
        self._runner.results.on_find = function

    @property
    def stuck(self) -> str | None:
        """The name of a function that was cancelled and does not end; None for none."""
        return self._runner.stuck

    @property
    def on_stuck(self) -> Callable[[str], None] | None:
        """Called with the reason when a stuck function makes a loop resign; None for nobody."""
        return self._runner.on_stuck

    @on_stuck.setter
    def on_stuck(self, function: Callable[[str], None] | None) -> None:
        self._runner.on_stuck = function

    @property
    def on_change(self) -> Callable[[], None] | None:
        """Called when a quiet loop has been rung, and when it is quiet again; None for nobody."""
        return self._runner.on_change

    @on_change.setter
    def on_change(self, function: Callable[[], None] | None) -> None:
        self._runner.on_change = function

    @property
    def wakeups(self) -> Mapping[Hashable, float]:
        """What sleeps until when: what was added -> epoch seconds. Live and read-only."""
        return self._runner.wakeups.times

    @property
    def channels(self) -> frozenset[str]:
        """The channels that functions name, in addition to those that ring them all."""
        names = self._agenda.names
        return names - tables_in(names)

    @property
    def tables(self) -> frozenset[Table]:
        """The tables that functions name."""
        return tables_in(self._agenda.names)

    on_channels: Callable[[], None] | None = None
    """Called when :attr:`channels` or :attr:`tables` may have changed; None for nobody."""

    # -- being quiet

    @property
    def active(self) -> str | None:
        """The name of what is active, None when nothing is."""
        return self._runner.active

    def is_quiet(self) -> bool:
        """Say whether nothing is active and nothing due. Sleeping until a wake-up is quiet."""
        return self._runner.is_quiet

    def when_quiet(self) -> Deferred[None]:
        """
        Wait until the loop is quiet.

        :returns: a fresh Deferred, fired already when the loop is quiet now. A stop fires it too.
        """
        return self._quiet_waiters.when()

    def loop_done(self) -> None:
        """
        Do nothing: a hook, called each time the loop has become quiet after a run.

        It may ring the loop again; :meth:`when_quiet` fires after it, if it has not.
        """

    def _became_quiet(self, ran: bool) -> None:
        if ran:
            try:
                self.loop_done()
            except BaseException:  # noqa: BLE001 - a hook stops nobody
                log.err(None, f"{self.name}: loop_done() failed")
        self._quiet_waiters.look()
        if ran and self._runner.on_change is not None:
            self._runner.on_change()

    # -- muting, and work done once

    def mute(self, processor: Hashable) -> None:
        """
        Do not call a function until it is unmuted.

        :raises KeyError: when there is no such function.
        """
        self._agenda.processors[processor].muted = True

    def unmute(self, processor: Hashable) -> None:
        """
        Call a function again; at once, when it was rung or its time came meanwhile.

        :raises KeyError: when there is no such function.
        """
        unmuted = self._agenda.processors[processor]
        unmuted.muted = False
        if unmuted.missed:
            unmuted.missed = False
            self._agenda.make_due(unmuted, Cause.RING)
            self._runner.ring()

    def named(self, name: str) -> Hashable:
        """
        Return what was added under a name: the first, where there are several.

        :raises KeyError: when there is no such function.
        """
        for key, processor in self._agenda.processors.items():
            if processor.name == name:
                return key
        raise KeyError(name)

    def call_soon(self, processor: Hashable) -> None:
        """
        Make one function due now, rung or not; a muted one when it is unmuted.

        :raises KeyError: when there is no such function.
        """
        self._agenda.make_due(self._agenda.processors[processor], Cause.RING)
        self._runner.ring()

    def submit(
        self, function: Callable[..., Any], /, *args: Any, priority: int = 0, **kwargs: Any
    ) -> Deferred[Any]:
        """
        Run a function once in this loop, when nothing else in it is active.

        :param priority: the higher, the sooner; among the submitted only.
        :returns: a Deferred with the function's result or error, which is not logged. It fails
            with :class:`~txdoorbell.loops.jobs.LoopStopped` when the loop stops before its turn.
            Cancelling it withdraws the function, or cancels its call.
        :raises TypeError: when it can't be called.
        """
        job = self._runner.jobs.submit(function, args, kwargs, priority)
        if self._accepts(f"submit({job.name})"):
            self._runner.ring()
        else:
            self._runner.fail_jobs()
        return job.done
