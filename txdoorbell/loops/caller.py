"""
The one place where users' functions are called, and where their results are waited for.

There is room for one call. The room is taken from :meth:`Caller.begin` until the call has really
ended, also when nobody is interested in it any more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.clocks import running_out
from txdoorbell.loops.awaiting import waiting_for
from txdoorbell.loops.call import PENDING, Call
from txdoorbell.loops.jobs import Job
from txdoorbell.loops.outcomes import Outcome
from txdoorbell.loops.policy import Policy
from txdoorbell.loops.sequence import Work
from txdoorbell.loops.waiting import ForThread, Waiting, was_cancelled
from txdoorbell.processor import Processor, TimeBudget

if TYPE_CHECKING:
    from txdoorbell.fleet.locking import Lease

_AT_ONCE = frozenset((type(None), Outcome))
"""Most calls come to one of these: nothing to wait for, nothing to look after."""


class Caller:
    """
    Calls one function at a time.

    :param finished: called with the work and its value, or Failure, once that is there, unless
        :meth:`begin` returned it. The value is PENDING for work that was abandoned.
    :param stuck: called with the name of work that was cancelled, and does not end.
    :ivar active: the work that takes up the room; None when there is room.
    :ivar stuck: its name, when it was cancelled and does not end.
    :ivar lease: given to functions that take it.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        monotonic: Callable[[], float],
        policy: Policy,
        finished: Callable[[Work, object], None],
        stuck: Callable[[str], None],
    ) -> None:
        self.active: Work | None = None
        self._reactor = reactor
        self._monotonic = monotonic
        self._policy = policy
        self._report = finished
        self._report_stuck = stuck
        self._call: Call | None = None
        self._abandoned = False
        self.stuck: str | None = None
        self.lease: Lease | None = None

    def begin(self, work: Work) -> object:
        """
        Call a function.

        :returns: its value, or a Failure; PENDING when it must be waited for, or was abandoned
            while it was called.
        """
        self.active = work
        try:
            if isinstance(work, Job) or not (work.blocking or work.takes):
                result = work.function()
            else:
                result = self._with_what_it_takes(work)
        except BaseException:  # noqa: BLE001 - nothing a function raises may leave the loop deaf
            result = Failure()
        if self._call is None and not self._abandoned and type(result) in _AT_ONCE:
            self.active = None
            return result
        return self._follow(work, result)

    def cancel(self) -> None:
        """Ask the active call to end; it may do so under this."""
        if self._call is not None:
            self._call.cancel()

    def abandon(self) -> Work | None:
        """
        Lose interest in what comes of the active call. It keeps its room until it ends.

        :returns: what is active, unless it had been abandoned already.
        """
        if self.active is None or self._abandoned:
            return None
        self._abandoned = True
        if self._call is not None:
            self._call.unwatch()
        return self.active

    def _with_what_it_takes(self, work: Processor) -> object:
        seconds = work.budget or self._policy.budget
        budget = TimeBudget(seconds, running_out(self._monotonic, seconds))
        self._call = Call(work, self._ended, budget)
        given = {"budget": budget, "lease": self.lease}
        function = partial(work.function, **{name: given[name] for name in work.takes})
        return ForThread(self._reactor, function) if work.blocking else function()

    def _follow(self, work: Work, result: object) -> object:
        """Follow a result until it is a value or a Failure; PENDING when it must be waited for."""
        while True:
            try:
                if isinstance(result, Failure):
                    break
                waiting = waiting_for(result, self._reactor)
            except BaseException:  # noqa: BLE001 - the same, of a hostile result
                result = Failure()
                break
            if waiting is None:
                break
            result = self._wait(work, waiting)
            if result is PENDING:
                return PENDING
        return self._end(work, result)

    def _wait(self, work: Work, waiting: Waiting) -> object:
        if self._abandoned or (isinstance(work, Job) and work.withdrawn):
            waiting.cancel()
        call = self._call
        if call is None:
            call = self._call = Call(work, self._ended)
        if not call.wait(waiting) and not self._abandoned:
            call.watch(self._reactor, self._policy, self._stuck)
        return call.result

    def where(self) -> str:
        """Say in lines where the active call is, as far as it can be seen."""
        return "it has not returned" if self._call is None else self._call.where()

    def overdue(self) -> None:
        """Report what is active as stuck: it was cancelled long enough ago."""
        if self._call is not None:
            self._stuck(self._call)

    def _stuck(self, call: Call) -> None:
        if self.stuck is not None:
            return
        self.log.error(
            "{loop}: {name} is stuck: it ignores its cancellation, and everything else in its "
            "loop waits\n{where}",
            loop=self._policy.name,
            name=call.work.name,
            where=call.where(),
        )
        self.stuck = call.work.name
        self._report_stuck(call.work.name)

    def _ended(self, call: Call) -> None:
        value = self._follow(call.work, call.result)
        if self.active is None:
            self._report(call.work, value)

    def _end(self, work: Work, value: object) -> object:
        self.active = self.stuck = None
        if self._call is not None:
            self._call.unwatch()
            self._call = None
        if not self._abandoned:
            return value
        self._abandoned = False
        _came_too_late(work, value)
        return PENDING


def _came_too_late(work: Work, value: object) -> None:
    if isinstance(work, Job):
        work.finish(value)
    elif isinstance(value, Failure) and not was_cancelled(value):
        log.err(value, f"{work.name} failed after its loop had stopped")
