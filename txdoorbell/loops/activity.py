"""
What is active in a loop, and what is known of it.

The data of the machine in :mod:`txdoorbell.loops.runner`, and what its states have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txdoorbell.clocks import SteadyClock
from txdoorbell.loops import states
from txdoorbell.loops.agenda import Agenda
from txdoorbell.loops.call import PENDING
from txdoorbell.loops.caller import Caller
from txdoorbell.loops.jobs import Job, Jobs
from txdoorbell.loops.policy import Policy
from txdoorbell.loops.response import Response
from txdoorbell.loops.results import Results
from txdoorbell.loops.sequence import Sequence, Work, unlisted
from txdoorbell.loops.waiting import was_cancelled
from txdoorbell.loops.wakeups import Wakeups
from txdoorbell.processor import Processor

if TYPE_CHECKING:
    from txdoorbell.fleet.locking import Lease

ENDING = (states.STOPPING, states.RESTARTING)
_STEADY = (*ENDING, states.SUSPENDED)


class Activity:
    """
    The parts of a loop, the state it is in, and the one call that may be active.

    :param roll_call: called when a run begins, before it is put together; None for nothing.
    :param quiet: called when nothing is left to do, with whether a run ended since the last time.
    :ivar suspension: why nothing may be called, in words; None when it may. Once started, a loop is
        SUSPENDED just as long as there is a reason.
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
        self.suspension: str | None = None
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
        self._withdrawn: Work | None = None

    @property
    def is_quiet(self) -> bool:
        """
        Whether nothing is active and nothing due.

        After a stop nothing is. What a suspended loop has noted isn't due before it is resumed.
        """
        if self._caller.active is not None:
            return False
        if self.state in (states.STOPPED, states.SUSPENDED):
            return True
        resting = self.state in (states.NEW, states.QUIET)
        return resting and not self.agenda.has_due and not self.jobs

    @property
    def lease(self) -> Lease | None:
        """By which lease what is called is called; None for none."""
        return self._caller.lease

    @lease.setter
    def lease(self, lease: Lease | None) -> None:
        self._caller.lease = lease

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
            clock = self._clock if state in _STEADY else self._reactor
            self._timer = clock.callLater(wait, call)

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

    def _came(self, work: Work, value: object, unwanted: bool = False) -> None:
        """
        See to what a call came to.

        :param unwanted: whether it was cancelled by the loop: then it may fail with that.
        """
        if isinstance(work, Job):
            work.finish(value)
            return
        work.record.end(self.monotonic(), value)
        if value is None and not work.failures:
            return
        ending = self.state in ENDING
        if (ending or unwanted) and was_cancelled(value):
            self.log.info("{loop}: {name} was cancelled", loop=self.policy.name, name=work.name)
        else:
            self.results.take(work, value, ending)

    def _is_stuck(self, name: str) -> None:
        if self.policy.stuck == "resign" and self.on_stuck is not None:
            self.on_stuck(f"{name} is stuck")

    def _finished(self, work: Work, value: object) -> None:
        raise NotImplementedError
