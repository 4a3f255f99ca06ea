"""
What all loops have in common: being rung, being quiet, starting and stopping.

A loop is a service. It needs ``IReactorTime`` only, so that ``task.Clock`` serves in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import log

from txdoorbell.awaiting import in_thread, logged
from txdoorbell.notification import Hearable
from txdoorbell.parent import Parent
from txdoorbell.policy import Policy
from txdoorbell.processor import check_seconds
from txdoorbell.runner import Runner, State
from txdoorbell.waiters import Waiters, after

_DEAF = (State.STOPPING, State.STOPPED)


class LoopBase(Parent):
    """
    Run processing functions, one at a time, when they are rung.

    Starting the service runs all of them once. After the last ring at least one full run begins;
    any number of rings before a run begins are served by that run. A subclass says in
    :meth:`get_processors` which functions there are.

    :param reactor: the clock; a real reactor is also asked for its thread pool.
    :param name: what the loop is called in logs.
    :param minimum_delay: seconds between a result and the call it asks for, at the least; also the
        first delay after an error.
    :param budget: seconds a function that takes a ``budget`` is given.
    :param retry: whether a function that failed is tried again, after ``minimum_delay``, twice
        that, and so on up to five minutes.
    :param slow_after: seconds after which a warning says that a function holds up the others.
    :param timeout: seconds after which a call is cancelled; None for never.
    :param stop_timeout: seconds after which a stop cancels what is still active.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        name: str = "loop",
        minimum_delay: float = 5.0,
        budget: float = 1.0,
        retry: bool = True,
        slow_after: float = 30.0,
        timeout: float | None = None,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__()
        self.name = name
        policy = Policy(
            name=name,
            minimum_delay=check_seconds("minimum_delay", minimum_delay, zero=True),
            budget=check_seconds("budget", budget),
            retry=retry,
            slow_after=check_seconds("slow_after", slow_after),
            timeout=None if timeout is None else check_seconds("timeout", timeout),
            stop_timeout=check_seconds("stop_timeout", stop_timeout, zero=True),
        )
        self._reactor = reactor
        self._runner = Runner(reactor, policy, self._roll_call(), self._became_quiet)
        self._agenda = self._runner.agenda
        self._quiet_waiters = Waiters(self.is_quiet)
        self._handlers_stopped: Deferred[Any] = succeed(None)

    def rearm(self) -> None:
        """Set all timers anew: the wall clock has been stepped."""
        self._runner.rearm()

    def rename(self, name: str) -> None:
        """Change what the loop is called, in logs and as a service; before it gets a parent."""
        self.name = name
        self._runner.policy.name = name

    def _roll_call(self) -> Callable[[], None] | None:
        return self._ask_processors

    def _ask_processors(self) -> None:
        for processor in self._agenda.replace(self.get_processors()):
            self._runner.wakeups.cancel(processor)

    def get_processors(self) -> Collection[Callable[..., object]]:
        """
        Return the functions to run. Asked at the beginning of each run.

        When it fails, the functions known so far run, and it is asked again after a growing delay.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what get_processors() returns")

    # -- rings

    def trigger(self) -> None:
        """
        Ring for everyone: a full run begins after this.

        Before the start it is remembered; after a stop it is ignored, and logged.
        """
        if self._accepts("trigger()"):
            self._agenda.ring()
            self._runner.ring()

    def notified(self, notification: Hearable) -> None:
        """
        Ring for those whose ``channels`` and ``interested`` match.

        :param notification: ours, or psycopg2's ``Notify``: this is a txpostgres notify observer.
        """
        if self._listens and self._agenda.notified(notification):
            self._runner.ring()

    def missed(self, channels: Iterable[str]) -> None:
        """Ring for those who hear any of these channels: something may have been said there."""
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
    def wakeups(self) -> Mapping[Hashable, float]:
        """What sleeps until when: what was added -> epoch seconds. Live and read-only."""
        return self._runner.wakeups.times

    @property
    def channels(self) -> frozenset[str]:
        """The channels that functions name, in addition to those that ring them all."""
        return self._agenda.channels

    on_channels: Callable[[], None] | None = None
    """Called when :attr:`channels` may have changed; None for nobody."""

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
            self._agenda.make_due(unmuted)
            self._runner.ring()

    def submit(
        self, function: Callable[..., Any], /, *args: Any, priority: int = 0, **kwargs: Any
    ) -> Deferred[Any]:
        """
        Run a function once in this loop, when nothing else in it is active.

        :param priority: the higher, the sooner; among the submitted only.
        :returns: a Deferred with the function's result or error, which is not logged. It fails
            with :class:`~txdoorbell.jobs.LoopStopped` when the loop stops before its turn.
            Cancelling it withdraws the function, or cancels its call.
        :raises TypeError: when it can't be called.
        """
        job = self._runner.jobs.submit(function, args, kwargs, priority)
        if self._accepts(f"submit({job.name})"):
            self._runner.ring()
        else:
            self._runner.fail_jobs()
        return job.done

    # -- the service

    def startService(self) -> None:
        """Start, and run everything once."""
        if self.running:
            return
        super().startService()
        self._runner.start()

    def stopService(self) -> Deferred[None]:
        """
        Begin no further call, and wait for the active one.

        Child services are stopped after that.

        :returns: fires when nothing of the loop is active any more, at the latest after
            ``stop_timeout`` seconds; what is active then is cancelled and reported by name. What
            does not end by that either is left behind; started again, the loop waits for it.
        """
        self._end()
        stopped = DeferredList([self._runner.stop(), after(self._handlers_stopped)])
        return after(stopped.addCallback(self._all_stopped))

    def _end(self) -> None:
        if self.running:
            self._handlers_stopped = DeferredList(self._stop_handlers())
        Service.stopService(self)

    def _stop_handlers(self) -> list[Deferred[None]]:
        return [
            in_thread(self._reactor, processor.stop)
            .addTimeout(self._runner.policy.stop_timeout, self._reactor)
            .addErrback(logged(f"{self.name}: stop() of {processor.name} failed"))
            for processor in self._agenda.processors.values()
            if processor.stop is not None
        ]

    def _all_stopped(self, _: object) -> Deferred[None]:
        self._quiet_waiters.release()
        return self.stop_children()

    def crash(self) -> list[object]:
        """
        Stop at once, without waiting: cancel what is active.

        What does not end by that is left behind; started again, the loop waits for it.

        :returns: the functions left undone: the active one, those due, those submitted, whose
            Deferreds fail with :class:`~txdoorbell.jobs.LoopStopped`.
        """
        self._end()
        undone = self._runner.crash()
        self._all_stopped(None)
        return undone
