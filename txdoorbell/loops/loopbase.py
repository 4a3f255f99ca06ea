"""
What all loops have in common: being rung, being quiet, starting and stopping.

A loop is a service. It needs ``IReactorTime`` only, so that ``task.Clock`` serves in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, Literal

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txdoorbell.loops.awaiting import in_thread, logged
from txdoorbell.loops.parent import Parent
from txdoorbell.loops.policy import Policy
from txdoorbell.loops.ringable import Ringable
from txdoorbell.loops.runner import Runner
from txdoorbell.loops.suspendable import Suspendable
from txdoorbell.loops.waiters import after
from txdoorbell.processor import check_choice, check_seconds, name_of


class LoopBase(Ringable, Suspendable, Parent):
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
    :param stuck: what follows when a function does not end after its timeout has cancelled it:
        ``wait`` for it, or let the doorbell ``resign``, for a supervisor to start a new process.
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
        stuck: Literal["wait", "resign"] = "wait",
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
            stuck=check_choice("stuck", stuck, ("wait", "resign")),
        )
        self._reactor = reactor
        self._take_runner(Runner(reactor, policy, self._roll_call(), self._became_quiet))
        self._handlers_stopped: Deferred[Any] = succeed(None)

    def rearm(self) -> None:
        """Set all timers anew: the wall clock has been stepped."""
        self._runner.rearm()

    def rename(self, name: str) -> None:
        """Change what the loop is called, in logs and as a service; before it gets a parent."""
        self.name = name
        self._runner.policy.name = name

    def name_of(self, processor: Hashable) -> str:
        """Return what logs call a function of this loop, or one that was submitted to it."""
        known = self._agenda.processors.get(processor)
        return name_of(processor) if known is None else known.name

    @property
    def stop_timeout(self) -> float:
        """Seconds after which a stop cancels what is still active."""
        return self._runner.policy.stop_timeout

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

    def startService(self) -> None:
        """Start, and run everything once."""
        if self.running:
            return
        super().startService()
        self._runner.start()

    def stopService(self) -> Deferred[None]:
        """
        Begin no further call, and wait for the active one.

        Child services are stopped after that, and have as long again.

        :returns: fires when nothing of the loop is active any more. What is active after
            ``stop_timeout`` seconds is cancelled and reported by name; what does not end by that
            in a tenth of a second is left behind. Started again, the loop waits for it.
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
        return self.stop_children(self._reactor, self.stop_timeout)

    def crash(self) -> list[object]:
        """
        Stop at once, without waiting: cancel what is active.

        What does not end by that is left behind; started again, the loop waits for it.

        :returns: the functions left undone: the active one, those due, those submitted, whose
            Deferreds fail with :class:`~txdoorbell.loops.jobs.LoopStopped`.
        """
        self._end()
        undone = self._runner.crash()
        self._all_stopped(None)
        return undone
