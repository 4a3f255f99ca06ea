"""
One thing at a time: the state machine that calls what is due.

The states and their table are in :mod:`txdoorbell.loops.states`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from txdoorbell.loops import states
from txdoorbell.loops.activity import ENDING, Activity
from txdoorbell.loops.call import PENDING
from txdoorbell.loops.causes import Cause
from txdoorbell.loops.jobs import Job, LoopStopped
from txdoorbell.loops.policy import LAST_GRACE, SLICE, SUSPEND_GRACE, Policy
from txdoorbell.loops.sequence import Work
from txdoorbell.processor import Processor


class Runner(Activity):
    """
    Calls the processors that are due and the jobs submitted, never two at once.

    See :class:`txdoorbell.loops.activity.Activity` for what it takes.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        policy: Policy,
        roll_call: Callable[[], None] | None,
        quiet: Callable[[bool], None],
    ) -> None:
        super().__init__(reactor, policy, roll_call, quiet)
        self._stop_waiters: list[Deferred[None]] = []
        self._may_call: Callable[[], bool] | None = None
        self._next = self._sequence.next

    @property
    def may_call(self) -> Callable[[], bool] | None:
        """Asked before each call whether it may be made; None for always."""
        return self._may_call

    @may_call.setter
    def may_call(self, function: Callable[[], bool] | None) -> None:
        # A loop that nobody asks anything pays nothing for that.
        self._may_call = function
        self._next = self._sequence.next if function is None else self._next_if_it_may

    def start(self) -> None:
        """Begin: everything is due."""
        if self.state in (states.NEW, states.STOPPED):
            self._begin_anew("starts anew")
        elif self.state is states.STOPPING:
            self.state = states.RESTARTING

    def _begin_anew(self, how: str) -> None:
        if self.suspension is not None:
            self._to(states.SUSPENDED)
            return
        self.agenda.ring(Cause.START)
        if self._caller.active is None:
            self._to(states.DUE, 0.0, self._turn)
            return
        self._to(states.WAITING)
        self.log.warn(
            "{loop} {how}, and waits for {name}: it is still active",
            loop=self.policy.name,
            how=how,
            name=self.active,
        )

    def suspend(self, reason: str) -> None:
        """Cancel what is active, and begin nothing before :meth:`resume`; rings are noted."""
        if self.suspension is not None:
            return
        self.suspension = reason
        if self.state is states.CALLING:
            self._to(states.SUSPENDED)
        elif self.state in (states.QUIET, states.DUE, states.WAITING):
            self._to(states.SUSPENDED)
            self._lie_down()

    def resume(self) -> None:
        """Go on where nothing may be called: everything is due."""
        self.suspension = None
        if self.state is states.SUSPENDED:
            self.response.rung = None
            self._begin_anew("is resumed")

    def _lie_down(self) -> None:
        """Leave off: what is active must end, what is left of its run is not called."""
        self._sequence.cut()
        if self._caller.active is not None:
            self._to(states.SUSPENDED, SUSPEND_GRACE, self._caller.overdue)
            self._withdrawn = self._caller.active
            self._caller.cancel()
        else:
            self._lie_still()

    def _lie_still(self) -> None:
        self._to(states.SUSPENDED)
        self._quiet(False)
        if self.on_change is not None:
            self.on_change()

    def _next_if_it_may(self) -> Work | None:
        if self._may_call is None or self._may_call():
            return self._sequence.next()
        self.suspend("it may not be called any more")
        return None

    def ring(self, ahead: bool = False) -> None:
        """Take note that something has become due; ahead of a :meth:`take_turn`, perhaps."""
        if self.response.rung is None:
            self.response.rung = self.monotonic()
        if self.state is states.QUIET:
            self._to(states.DUE, None if ahead else 0.0, self._turn)
            if self.on_change is not None:
                self.on_change()

    def take_turn(self) -> None:
        """Begin at once, if that was promised; with nothing of ours on the stack."""
        if self.state is states.DUE and self._timer is None:
            self._turn()

    def stop(self) -> Deferred[None]:
        """
        Begin nothing more.

        :returns: fires when nothing is active any more; at the latest soon after
            ``stop_timeout``, when what is active has been cancelled.
        """
        if self.state is states.STOPPED:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stop_waiters.append(stopped)
        if self.state is states.CALLING:
            self._to(states.STOPPING)
        elif self.state is states.WAITING or (
            self.state is states.SUSPENDED and self._caller.active is not None
        ):
            self._to(states.STOPPING, self.policy.stop_timeout, self._give_up)
        elif self.state is states.RESTARTING:
            self.state = states.STOPPING
        elif self.state is not states.STOPPING:
            self._stopped()
        self.fail_jobs()
        return stopped

    def crash(self) -> list[object]:
        """
        Stop at once: cancel what is active, forget what is due.

        :returns: what was left undone, as its user knows it: the active one first, then those due,
            then the submitted.
        """
        active = self._caller.abandon()
        left = self._sequence.left()
        if isinstance(active, Processor) and active is not self._roll_call:
            left.insert(0, active)
        jobs = [active] if isinstance(active, Job) else []
        jobs += self.jobs.take_all()
        self.state = states.STOPPING
        self._stopped()
        self._fail(jobs)
        self._caller.cancel()
        return [*(processor.key for processor in dict.fromkeys(left)), *(job.key for job in jobs)]

    def _turn(self) -> None:
        # Called by the delayed call of DUE or QUIET, or where there is none.
        self.state, self._timer = states.CALLING, None
        end = time.monotonic() + SLICE
        while self.state is states.CALLING:
            work = self._next()
            if work is None:
                break
            self._begin(work)
            if time.monotonic() >= end and self.state is states.CALLING:
                self._to(states.DUE, 0.0, self._turn)
        self._turned()

    def _turned(self) -> None:
        """Rest, or see to what was asked for by what was called: a stop, a crash, to lie down."""
        if self.state is states.CALLING:
            self._rest()
        elif self.state is states.SUSPENDED:
            self._lie_down()
        elif self._caller.active is not None:
            if self.state in ENDING:
                self._to(self.state, self.policy.stop_timeout, self._give_up)
        elif self.state in ENDING:
            self._stopped()
        elif self.state is states.WAITING:
            self._to(states.DUE, 0.0, self._turn)

    def _rest(self) -> None:
        ran = self._sequence.rest()
        self._to(states.QUIET)
        self._sleep()
        self._quiet(ran)

    def rearm(self) -> None:
        """Set all timers anew, by the clocks as they are now."""
        self._clock.resettle()
        if self.state is states.DUE and self._timer is not None:
            self._to(states.DUE, 0.0, self._turn)
        else:
            self._sleep()

    def _sleep(self) -> None:
        if self.state is states.QUIET:
            self._to(states.QUIET, self.wakeups.delay(), self._turn)

    def _finished(self, work: Work, value: object) -> None:
        """Go on: what had to be waited for has ended."""
        withdrawn, self._withdrawn = self._withdrawn, None
        if self.state is states.WAITING:
            self._to(states.DUE, 0.0, self._turn)
        if value is not PENDING:
            self._came(work, value, withdrawn is work)
        if self.state in ENDING:
            self._stopped()
        elif self.state is states.SUSPENDED:
            self._lie_still()
        elif self.state is states.STOPPED:
            self._quiet(False)

    def _give_up(self) -> None:
        """Cancel what is active at the deadline of a stop. A task ends some turns after that."""
        self.log.warn(
            "{loop}: {name} was still active {seconds} s after the stop; cancelling it",
            loop=self.policy.name,
            name=self.active,
            seconds=self.policy.stop_timeout,
        )
        self._to(self.state, LAST_GRACE, self._leave_behind)
        self._caller.cancel()

    def _leave_behind(self) -> None:
        """Be done with a stop, whatever is active."""
        self.log.error(
            "{loop}: {name} ignores its cancellation; it is left behind\n{where}",
            loop=self.policy.name,
            name=self.active,
            where=self._caller.where(),
        )
        left = self._caller.abandon()
        self._stopped()
        self._fail([left] if isinstance(left, Job) else [])

    def _stopped(self) -> None:
        restarting = self.state is states.RESTARTING
        self._to(states.STOPPED)
        self._sequence.forget()
        waiters, self._stop_waiters = self._stop_waiters, []
        if restarting:
            self.start()
        for waiter in waiters:
            waiter.callback(None)

    def fail_jobs(self) -> None:
        """Take out all submitted work, and let it fail."""
        self._fail(self.jobs.take_all())

    def _fail(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            job.fail(LoopStopped(f"{self.policy.name} stopped before {job.name} ended"))
