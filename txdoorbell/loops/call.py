"""One call that is under way: waiting for it, watching the time, making it stop."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txdoorbell.loops.jobs import Job
from txdoorbell.loops.policy import CANCEL_GRACE, Policy
from txdoorbell.loops.waiting import Waiting, was_cancelled
from txdoorbell.processor import Processor, TimeBudget


class FunctionTimeout(defer.TimeoutError, TimeoutError):
    """A function was cancelled because it took longer than its ``timeout``."""


class Call:
    """
    One call of a user's function that must be waited for.

    :param work: what was called: a processor or a job.
    :param finished: called with this object when what it waits for has finished, but not when that
        had happened by the time :meth:`wait` returned.
    :param budget: what the function was given, if it was.
    :ivar result: a value or a Failure; PENDING until it is there.
    """

    __slots__ = (
        "_budget",
        "_finished",
        "_starting",
        "_timed_out",
        "_timers",
        "_waiting",
        "result",
        "work",
    )

    log = Logger()

    def __init__(
        self,
        work: Processor | Job,
        finished: Callable[[Call], None],
        budget: TimeBudget | None = None,
    ) -> None:
        self.work = work
        self.result: object = PENDING
        self._finished = finished
        self._budget = budget
        self._waiting: Waiting | None = None
        self._starting = False
        self._timed_out: float | None = None
        self._timers: list[IDelayedCall] = []

    def wait(self, waiting: Waiting) -> bool:
        """
        Wait for what the function returned.

        :returns: whether it has finished already; :attr:`result` is then set.
        """
        self.result = PENDING
        self._waiting = waiting
        if isinstance(self.work, Job):
            self.work.cancel_call = self.cancel
        self._starting = True
        waiting.start(self._ended)
        self._starting = False
        return self.result is not PENDING

    def watch(self, reactor: IReactorTime, policy: Policy, stuck: Callable[[Call], object]) -> None:
        """
        Warn when it is slow, cancel it when it takes too long. Only the first time counts.

        :param stuck: called when it has not ended some seconds after that.
        """
        if self._timers:
            return
        self._timers = [reactor.callLater(policy.slow_after, self._slow)]
        timeout = self.work.timeout or policy.timeout
        if timeout is not None:
            self._timers += [
                reactor.callLater(timeout, self._time_out, timeout),
                reactor.callLater(timeout + CANCEL_GRACE, stuck, self),
            ]

    def unwatch(self) -> None:
        """Stop watching; harmless when nothing is watched."""
        for timer in self._timers:
            if timer.active():
                timer.cancel()

    def cancel(self) -> None:
        """Ask the function to stop; one in a thread sees its budget used up."""
        if self._budget is not None:
            self._budget.exhaust()
        if self._waiting is not None:
            self._waiting.cancel()

    def where(self) -> str:
        """Say in lines where the function is: its stack, as far as it can be seen."""
        return "nowhere" if self._waiting is None else self._waiting.where()

    def _slow(self) -> None:
        self.log.warn(
            "{name} has not finished yet: everything else in its loop waits", name=self.work.name
        )

    def _time_out(self, seconds: float) -> None:
        self._timed_out = seconds
        self.cancel()
        if self.result is PENDING:
            became = "is still active: everything else in its loop waits"
        elif isinstance(self.result, Failure) and self.result.check(FunctionTimeout):
            return
        else:
            became = "took it for its end"
        self.log.warn(
            "{name} timed out: it took more than {seconds} s, was cancelled, and {became}",
            name=self.work.name,
            seconds=seconds,
            became=became,
        )

    def _ended(self, result: object) -> None:
        self._waiting = None
        if self._timed_out is not None and was_cancelled(result):
            result = Failure(
                FunctionTimeout(f"{self.work.name} took more than {self._timed_out} s")
            )
        self.result = result
        if not self._starting:
            self._finished(self)


class _Pending:
    """The result of a call that has none yet."""

    def __repr__(self) -> str:
        return "PENDING"


PENDING = _Pending()
