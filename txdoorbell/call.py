"""One call that is under way: waiting for it, watching the time, making it stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txdoorbell.jobs import Job
from txdoorbell.processor import Processor, TimeBudget

Result = object
"""What a call came to: a value, or a Failure."""


class FunctionTimeout(defer.TimeoutError, TimeoutError):  # noqa: N818 - as Twisted's names
    """A function was cancelled because it took longer than its ``timeout``."""


class Call:
    """
    One call of a user's function, from its start until nothing of it is active any more.

    :param work: what was called: a processor or a job.
    :param finished: called with this object when what it waits for has fired, but not when that
        had happened by the time :meth:`wait` returned.
    :param budget: what the function was given, if it was.
    :param thread: whether the first thing to wait for is a thread, which can't be cancelled.
    """

    __slots__ = (
        "_budget",
        "_deferred",
        "_finished",
        "_remaining",
        "_thread",
        "_timed_out",
        "_timer",
        "_waited",
        "result",
        "work",
    )

    log = Logger()

    def __init__(
        self,
        work: Processor | Job,
        finished: Callable[[Call], None],
        budget: TimeBudget | None = None,
        thread: bool = False,
    ) -> None:
        self.work = work
        self.result: Result = PENDING
        self._finished = finished
        self._budget = budget
        self._thread = thread
        self._deferred: Deferred[Any] | None = None
        self._timed_out: float | None = None
        self._timer: IDelayedCall | None = None
        self._remaining: list[tuple[float, Callable[[], None]]] | None = None
        self._waited = False

    def wait(self, deferred: Deferred[Any]) -> bool:
        """
        Wait for what the function returned.

        :returns: whether it has fired already; :attr:`result` is then set.
        """
        self.result = PENDING
        self._waited = False
        self._deferred = None if self._thread else deferred
        self._thread = False
        deferred.addBoth(self._fired)
        self._waited = True
        if isinstance(self.work, Job):
            self.work.cancel_call = self.cancel
        return self.result is not PENDING

    def watch(self, reactor: IReactorTime, slow_after: float, timeout: float | None) -> None:
        """Warn when it is slow, cancel it when it takes too long. Only the first call counts."""
        if self._remaining is not None:
            return
        timeout = self.work.timeout or timeout
        self._remaining = [(slow_after, self._slow)]
        if timeout is not None:
            self._remaining.append((timeout, lambda: self._time_out(timeout)))
            self._remaining.sort(key=lambda entry: entry[0])
        self._next_timer(reactor, 0.0)

    def unwatch(self) -> None:
        """Stop watching; harmless when nothing is watched."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def cancel(self) -> None:
        """Ask the function to stop; one in a thread sees its budget used up."""
        if self._budget is not None:
            self._budget.exhaust()
        if self._deferred is not None:
            try:
                self._deferred.cancel()
            except Exception as error:  # noqa: BLE001 - txpostgres raises here, and means it well
                self.log.warn(
                    "{name}: {error!r} from its canceller", name=self.work.name, error=error
                )

    def _next_timer(self, reactor: IReactorTime, elapsed: float) -> None:
        if self._remaining:
            seconds, action = self._remaining.pop(0)
            self._timer = reactor.callLater(
                seconds - elapsed, self._timer_fired, reactor, seconds, action
            )

    def _timer_fired(
        self, reactor: IReactorTime, elapsed: float, action: Callable[[], None]
    ) -> None:
        self._timer = None
        self._next_timer(reactor, elapsed)
        action()

    def _slow(self) -> None:
        self.log.warn(
            "{name} has not finished yet: everything else in its loop waits", name=self.work.name
        )

    def _time_out(self, seconds: float) -> None:
        self._timed_out = seconds
        self.cancel()
        if self.result is PENDING:
            self.log.warn(
                "{name} timed out after {seconds} s and ignores its cancellation",
                name=self.work.name,
                seconds=seconds,
            )

    def _fired(self, result: Result) -> None:
        if isinstance(result, Failure) and result.check(CancelledError) and self._timed_out:
            result = Failure(
                FunctionTimeout(f"{self.work.name} took more than {self._timed_out} s")
            )
        self.result = result
        if self._waited:
            self._finished(self)


class _Pending:
    """The result of a call that has none yet."""

    def __repr__(self) -> str:
        return "PENDING"


PENDING = _Pending()
