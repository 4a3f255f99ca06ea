"""
One lock's election: from standing by to holding it, and back.

A machine of states, as a table; the data is a :class:`txdoorbell.fleet.candidate.Candidate`. What a
state needs, a head start or the try that is under way, is that state's own and goes with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, succeed

from txdoorbell.fleet.candidate import Candidate, Stage
from txdoorbell.fleet.locking import Holder, Lease
from txdoorbell.fleet.tries import Attempt, Handover, HeadStart

__all__ = ["Election", "new_election"]


class Election(Protocol):
    """The inputs: what the process wants, what its session reports, and what time it is."""

    def begin(self) -> None:
        """Want the lock; nothing when it is wanted."""

    def opened(self) -> None:
        """Learn that there is a session on which locks can be held: the candidate's."""

    def refused(self, reason: str) -> None:
        """Learn that there is a session on which no lock can be held."""

    def closed(self, reason: str) -> None:
        """Learn that there is no session any more: nothing is held."""

    def freed(self) -> None:
        """Learn that the holder says that it has given the lock back."""

    def round(self) -> None:
        """Try, because it is time to see whether the holder is still there."""

    def aimed(self) -> None:
        """Try, because the head start of others has passed."""

    def crowded(self) -> None:
        """Do not try: this process holds as many locks as it may."""

    def left(self) -> None:
        """Leave the lock to other hosts, for now."""

    def granted(self, lease: Lease) -> None:
        """Learn that the lock was got."""

    def denied(self, holder: Holder | None) -> None:
        """Learn that another session holds the lock."""

    def missed(self) -> None:
        """Learn that the lock was held, and has been given back since it was tried for."""

    def failed(self, text: str) -> None:
        """Learn that the try came to nothing."""

    def undone(self) -> None:
        """Learn that the session doesn't hold the lock any more, though it lives."""

    def resign(self) -> Deferred[None]:
        """Want the lock no more; the Deferred fires when it has been given back, if it was held."""

    def given_back(self) -> None:
        """Learn that the lock has been given back, or that its session has ended over it."""


def _machine() -> Callable[[Candidate], Election]:  # noqa: C901, PLR0915 - one table, in one piece
    machine = TypeMachineBuilder(Election, Candidate)

    def arrive(election: Election, candidate: Candidate) -> HeadStart:
        return HeadStart(candidate, candidate.first_wait, election)

    def aim(election: Election, candidate: Candidate) -> HeadStart:
        return HeadStart(candidate, candidate.wait, election)

    def attempt(election: Election, candidate: Candidate) -> Attempt:
        return Attempt(candidate, election)

    def hand_over(election: Election, candidate: Candidate) -> Handover:
        return Handover(candidate, election.given_back)

    stopped = machine.state("stopped")
    apart = machine.state("apart")
    refused = machine.state("refused")
    standby = machine.state("standby")
    arriving = machine.state("arriving", arrive)
    aiming = machine.state("aiming", aim)
    trying = machine.state("trying", attempt)
    holding = machine.state("holding")
    releasing = machine.state("releasing", hand_over)

    plain = (stopped, apart, refused, standby, holding)
    keeping = (arriving, aiming, trying, releasing)

    def ignored(event: Any, *but: Any) -> None:
        """Let an event change nothing, except in these states."""
        for state in plain:
            if state not in but:
                state.upon(event).loop().returns(None)
        for kept in keeping:
            if kept not in but:
                kept.upon(event, nodata=True).loop().returns(None)

    ignored(Election.begin, stopped, releasing)
    ignored(Election.opened, apart, refused)
    ignored(Election.refused, apart, refused)
    ignored(Election.closed, standby, arriving, aiming, trying, holding, releasing)
    ignored(Election.freed, standby, arriving, trying)
    ignored(Election.round, standby)
    ignored(Election.aimed, arriving, aiming)
    ignored(Election.crowded, standby, arriving, aiming, trying)
    ignored(Election.left, arriving, aiming, trying)
    for answer in (Election.granted, Election.denied, Election.missed, Election.failed):
        ignored(answer, trying)
    ignored(Election.undone, holding)
    ignored(Election.given_back, releasing)

    @stopped.upon(Election.begin).to(apart)
    def wait_for_a_session(election: Election, candidate: Candidate) -> None:
        candidate.enter(Stage.WAITING, "there is no session")

    @apart.upon(Election.opened).to(arriving)
    @refused.upon(Election.opened).to(arriving)
    def stand(election: Election, candidate: Candidate) -> None:
        candidate.enter(Stage.STANDBY, "there is a session")

    @apart.upon(Election.refused).to(refused)
    @refused.upon(Election.refused).loop()
    def be_refused(election: Election, candidate: Candidate, reason: str) -> None:
        candidate.enter(Stage.REFUSED, reason)

    @standby.upon(Election.freed).to(aiming)
    def hear(election: Election, candidate: Candidate) -> None:
        """Keep what is known: the try will tell."""

    @arriving.upon(Election.freed).to(aiming)
    def aim_sooner(election: Election, candidate: Candidate, start: HeadStart) -> None:
        start.cancel()

    @standby.upon(Election.round).to(trying)
    def try_again(election: Election, candidate: Candidate) -> None:
        candidate.enter(Stage.TRYING, candidate.reason)

    @arriving.upon(Election.aimed).to(trying)
    @aiming.upon(Election.aimed).to(trying)
    def try_now(election: Election, candidate: Candidate, start: HeadStart) -> None:
        start.cancel()
        candidate.enter(Stage.TRYING, candidate.reason)

    @standby.upon(Election.crowded).loop()
    def leave_it(election: Election, candidate: Candidate) -> None:
        candidate.have_no_room()

    @arriving.upon(Election.crowded).to(standby)
    @aiming.upon(Election.crowded).to(standby)
    def leave_it_after_all(election: Election, candidate: Candidate, start: HeadStart) -> None:
        start.cancel()
        candidate.have_no_room()

    @arriving.upon(Election.left).to(standby)
    @aiming.upon(Election.left).to(standby)
    def leave_it_to_others(election: Election, candidate: Candidate, start: HeadStart) -> None:
        start.cancel()

    @trying.upon(Election.crowded).to(standby)
    def leave_it_untried(election: Election, candidate: Candidate, attempt: Attempt) -> None:
        candidate.have_no_room()

    @trying.upon(Election.left).to(standby)
    def leave_it_for_now(election: Election, candidate: Candidate, attempt: Attempt) -> None:
        candidate.enter(Stage.STANDBY, "left to other hosts, for a moment")

    @trying.upon(Election.granted).to(holding)
    def hold(election: Election, candidate: Candidate, attempt: Attempt, lease: Lease) -> None:
        candidate.hold(lease)

    @trying.upon(Election.denied).to(standby)
    def stand_by(
        election: Election, candidate: Candidate, attempt: Attempt, holder: Holder | None
    ) -> None:
        candidate.stand_by(holder)

    @trying.upon(Election.freed).loop()
    def hear_meanwhile(election: Election, candidate: Candidate, attempt: Attempt) -> None:
        attempt.outdated = True

    @trying.upon(Election.missed).to(aiming)
    def aim_again(election: Election, candidate: Candidate, attempt: Attempt) -> None:
        candidate.enter(Stage.STANDBY, "it has just been given back")

    @trying.upon(Election.failed).to(standby)
    def try_later(election: Election, candidate: Candidate, attempt: Attempt, text: str) -> None:
        candidate.note_failure(text)

    @holding.upon(Election.undone).to(aiming)
    def lose(election: Election, candidate: Candidate) -> None:
        candidate.lose(Stage.STANDBY, "its session lives on, and doesn't hold it any more")

    @standby.upon(Election.closed).to(apart)
    @holding.upon(Election.closed).to(apart)
    def part(election: Election, candidate: Candidate, reason: str) -> None:
        candidate.lose(Stage.WAITING, reason)

    @arriving.upon(Election.closed).to(apart)
    @aiming.upon(Election.closed).to(apart)
    def aim_no_more(
        election: Election, candidate: Candidate, start: HeadStart, reason: str
    ) -> None:
        start.cancel()
        candidate.lose(Stage.WAITING, reason)

    @trying.upon(Election.closed).to(apart)
    def lose_the_answer(
        election: Election, candidate: Candidate, attempt: Attempt, reason: str
    ) -> None:
        attempt.drop()
        candidate.lose(Stage.WAITING, reason)

    @stopped.upon(Election.resign).loop()
    def rest(election: Election, candidate: Candidate) -> Deferred[None]:
        return succeed(None)

    @apart.upon(Election.resign).to(stopped)
    @refused.upon(Election.resign).to(stopped)
    @standby.upon(Election.resign).to(stopped)
    def stop(election: Election, candidate: Candidate) -> Deferred[None]:
        candidate.lose(Stage.STOPPED, "stopped")
        return succeed(None)

    @arriving.upon(Election.resign).to(stopped)
    @aiming.upon(Election.resign).to(stopped)
    def stop_aiming(election: Election, candidate: Candidate, start: HeadStart) -> Deferred[None]:
        start.cancel()
        candidate.lose(Stage.STOPPED, "stopped")
        return succeed(None)

    @trying.upon(Election.resign).to(releasing)
    def withdraw(election: Election, candidate: Candidate, attempt: Attempt) -> Deferred[None]:
        attempt.drop()
        candidate.lose(Stage.RELEASING, "stopped")
        return candidate.when_given_back()

    @holding.upon(Election.resign).to(releasing)
    def release(election: Election, candidate: Candidate) -> Deferred[None]:
        candidate.lose(Stage.RELEASING, "stopped")
        return candidate.when_given_back()

    @releasing.upon(Election.resign, nodata=True).loop()
    def release_once(election: Election, candidate: Candidate) -> Deferred[None]:
        return candidate.when_given_back()

    @releasing.upon(Election.given_back).to(stopped)
    def end(election: Election, candidate: Candidate, handover: Handover) -> None:
        candidate.enter(Stage.STOPPED, "stopped")

    @releasing.upon(Election.closed).to(stopped)
    def end_with_the_session(
        election: Election, candidate: Candidate, handover: Handover, reason: str
    ) -> None:
        handover.drop()
        candidate.enter(Stage.STOPPED, "stopped")

    @releasing.upon(Election.begin).to(aiming)
    def want_it_again(election: Election, candidate: Candidate, handover: Handover) -> None:
        handover.drop()
        candidate.enter(Stage.STANDBY, "started again")

    return machine.build()


new_election = _machine()
"""Makes an election, in its first state, for a candidate."""
