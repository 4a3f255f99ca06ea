"""
The one place where users' functions are called, and where their results are waited for.

There is room for one call. It is active from :meth:`Caller.begin` until its value is handed back:
by ``begin`` itself, or to ``finished``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.awaiting import as_deferred, in_thread
from txdoorbell.call import PENDING, Call
from txdoorbell.jobs import Job
from txdoorbell.policy import Policy
from txdoorbell.processor import Processor, TimeBudget

Work = Processor | Job


class Caller:
    """
    Calls one function at a time.

    :param finished: called with the work and its value, or Failure, once that is there; not for
        work whose value :meth:`begin` returned, and not for work that was abandoned.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        monotonic: Callable[[], float],
        policy: Policy,
        finished: Callable[[Work, object], None],
    ) -> None:
        self.active: Work | None = None
        self._reactor = reactor
        self._monotonic = monotonic
        self._policy = policy
        self._report = finished
        self._cooperator = Cooperator(scheduler=lambda turn: reactor.callLater(0, turn))
        self._call: Call | None = None

    def begin(self, work: Work) -> object:
        """
        Call a function.

        :returns: its value, or a Failure; PENDING when it must be waited for, or was abandoned
            while it was called.
        """
        self.active = work
        try:
            if isinstance(work, Job) or not (work.blocking or work.wants_budget):
                result = work.function()
            else:
                result = self._call_with_budget(work)
        except BaseException:  # noqa: BLE001 - nothing a function raises may leave the loop deaf
            result = Failure()
        if self.active is not work:
            _discard(result)
            return PENDING
        return self._follow(work, result)

    def cancel(self) -> None:
        """Ask the active call to stop; it may finish under this."""
        if self._call is not None:
            self._call.cancel()

    def abandon(self) -> Callable[[], None]:
        """
        Leave the active call to itself: what comes of it is reported to nobody.

        :returns: cancels it.
        """
        self.active = None
        call, self._call = self._call, None
        if call is None:
            return _nothing
        call.unwatch()
        return call.cancel

    def _call_with_budget(self, work: Processor) -> object:
        budget = TimeBudget(work.budget or self._policy.budget, self._monotonic)
        function = work.function
        if work.wants_budget:
            function = partial(function, budget=budget)
        self._call = Call(work, self._fired, budget, thread=work.blocking)
        return in_thread(self._reactor, function) if work.blocking else function()

    def _follow(self, work: Work, result: object) -> object:
        """Follow a result until it is a value or a Failure; PENDING when it must be waited for."""
        while not isinstance(result, Failure):
            try:
                deferred = as_deferred(result, self._cooperator)
            except BaseException:  # noqa: BLE001 - the same
                result = Failure()
                break
            if deferred is None:
                break
            if self.active is not work:
                _discard(deferred)
                return PENDING
            call = self._call
            if call is None:
                call = self._call = Call(work, self._fired)
            if not call.wait(deferred):
                call.watch(self._reactor, self._policy.slow_after, self._policy.timeout)
                return PENDING
            result = call.result
        return self._end(result)

    def _fired(self, call: Call) -> None:
        if call is not self._call:
            _came_too_late(call)
            return
        work = call.work
        value = self._follow(work, call.result)
        if value is not PENDING:
            self._report(work, value)

    def _end(self, value: object) -> object:
        self.abandon()
        return value


def _nothing() -> None:
    """Cancel nothing: what is being called has not returned yet."""


def _came_too_late(call: Call) -> None:
    if isinstance(call.result, Failure) and not call.result.check(CancelledError):
        log.err(call.result, f"{call.work.name} failed after its loop had stopped")


def _discard(result: object) -> None:
    """Cancel what a function returned after it had crashed its own loop."""
    if isinstance(result, Deferred):
        result.addErrback(lambda failure: None)
        result.cancel()
    elif inspect.iscoroutine(result):
        result.close()
