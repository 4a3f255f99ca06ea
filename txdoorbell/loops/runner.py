"""
One thing at a time: the state machine that calls what is due.

The states and their table are in :mod:`txdoorbell.loops.states`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txdoorbell.clocks import SteadyClock
from txdoorbell.loops import states
from txdoorbell.loops.agenda import Agenda
from txdoorbell.loops.call import PENDING
from txdoorbell.loops.caller import Caller
from txdoorbell.loops.causes import Cause
from txdoorbell.loops.jobs import Job, Jobs, LoopStopped
from txdoorbell.loops.policy import LAST_GRACE, SLICE, Policy
from txdoorbell.loops.response import Response
from txdoorbell.loops.results import Results
from txdoorbell.loops.sequence import Sequence, Work, unlisted
from txdoorbell.loops.waiting import was_cancelled
from txdoorbell.loops.wakeups import Wakeups
from txdoorbell.processor import Processor

_ENDING = (states.STOPPING, states.RESTARTING)


class Runner:
    """
    Calls the processors that are due and the jobs submitted, never two at once.

    :param roll_call: called when a run begins, before it is put together; None for nothing.
    :param quiet: called when nothing is left to do, with whether a run ended since the last time.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        policy: Policy,
        roll_call: Callable[[], None] | None,
        quiet: Callable[[bool], None],
    ) -> None:
        self.policy = policy
        self.agenda = Agenda()
        self.jobs = Jobs()
        self.state = states.NEW
        self._reactor = reactor
        self._clock = SteadyClock(reactor)
        self.monotonic = self._clock.monotonic
        self.wakeups = Wakeups(reactor.seconds, self.monotonic)
        response = self.response = Response(self.monotonic)
        self.results = Results(policy, self.agenda, self.wakeups)
        self._caller = Caller(self._clock, self.monotonic, policy, self._finished, self._is_stuck)
        self.on_stuck: Callable[[str], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self._roll_call = unlisted(roll_call, f"{policy.name}.get_processors")
        self._sequence = Sequence(self.agenda, self.wakeups, self.jobs, self._roll_call, response)
        self._quiet = quiet
        self._timer: IDelayedCall | None = None
        self._stop_waiters: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin: everything is due."""
        if self.state in (states.NEW, states.STOPPED):
            self.agenda.ring(Cause.START)
            self._to(states.DUE, 0.0, self._turn)
            if self._caller.active is not None:
                self._to(states.WAITING)
                self.log.warn(
                    "{loop} starts anew, and waits for {name}: it is still active",
                    loop=self.policy.name,
                    name=self.active,
                )
        elif self.state is states.STOPPING:
            self.state = states.RESTARTING

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
        elif self.state is states.WAITING:
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

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is active and nothing due. After a stop nothing is."""
        if self._caller.active is not None:
            return False
        if self.state is states.STOPPED:
            return True
        resting = self.state in (states.NEW, states.QUIET)
        return resting and not self.agenda.has_due and not self.jobs

    @property
    def active(self) -> str | None:
        """The name of what is active, None when nothing is."""
        active = self._caller.active
        return None if active is None else active.name

    @property
    def active_processor(self) -> Processor | None:
        """The processor that is active, None when it is none."""
        active = self._caller.active
        return active if isinstance(active, Processor) else None

    @property
    def stuck(self) -> str | None:
        """The name of what was cancelled and does not end, None when nothing is."""
        return self._caller.stuck

    def _to(
        self, state: states.State, wait: float | None = None, call: Callable[[], None] | None = None
    ) -> None:
        """Leave a state with its delayed call, and enter one with its own."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.state = state
        self._timer = None
        if wait is not None and call is not None:
            clock = self._clock if state in _ENDING else self._reactor
            self._timer = clock.callLater(wait, call)

    def _turn(self) -> None:
        self._to(states.CALLING)
        end = time.monotonic() + SLICE
        while self.state is states.CALLING:
            work = self._sequence.next()
            if work is None:
                self._rest()
                return
            self._begin(work)
            if time.monotonic() >= end and self.state is states.CALLING:
                self._to(states.DUE, 0.0, self._turn)
        self._turned()

    def _turned(self) -> None:
        """See to what was asked for by what was called: a stop, or a crash and a new start."""
        if self._caller.active is not None:
            if self.state in _ENDING:
                self._to(self.state, self.policy.stop_timeout, self._give_up)
        elif self.state in _ENDING:
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

    def _begin(self, work: Work) -> None:
        if isinstance(work, Processor):
            record = work.record
            record.runs += 1
            record.began = self.monotonic()
            work.interrupted = work.wake is not None
            if work.interrupted:
                self.wakeups.cancel(work)
        value = self._caller.begin(work)
        if value is not PENDING:
            self._came(work, value)
        elif self.state is states.CALLING:
            self._to(states.WAITING)

    def _finished(self, work: Work, value: object) -> None:
        """Go on: what had to be waited for has ended."""
        if self.state is states.WAITING:
            self._to(states.DUE, 0.0, self._turn)
        if value is not PENDING:
            self._came(work, value)
        if self.state in _ENDING:
            self._stopped()
        elif self.state is states.STOPPED:
            self._quiet(False)

    def _came(self, work: Work, value: object) -> None:
        if isinstance(work, Job):
            work.finish(value)
            return
        work.record.end(self.monotonic(), value)
        if value is None and not work.failures:
            return
        if self.state in _ENDING and was_cancelled(value):
            self.log.info("{loop}: {name} was cancelled", loop=self.policy.name, name=work.name)
        else:
            self.results.take(work, value, self.state in _ENDING)

    def _is_stuck(self, name: str) -> None:
        if self.policy.stuck == "resign" and self.on_stuck is not None:
            self.on_stuck(f"{name} is stuck")

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
