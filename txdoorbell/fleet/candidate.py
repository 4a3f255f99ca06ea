"""
A candidate: one lock that this process wants, the loops that need it, and how it stands.

The data of the machine in :mod:`txdoorbell.fleet.election`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txdoorbell.fleet.locking import Holder, Lease, LockSession
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.loops.waiters import Waiters
from txdoorbell.status import LockStatus

__all__ = ["Candidate", "Stage"]


class Stage(Enum):
    """How a candidate stands, for the status."""

    STOPPED = "stopped"
    WAITING = "waiting"
    REFUSED = "refused"
    STANDBY = "standby"
    TRYING = "standby, trying"
    HOLDING = "holding"
    RELEASING = "releasing"


class Candidate:
    """
    One lock, and the loops that run only while it is held.

    :param wait: says for how many seconds after the lock came free others may try first.
    :param first_wait: says for how many after the beginning of a session.
    :param prefers: says whether this process tries whenever the lock may be free.
    :param has_room: says whether this process may hold one more lock.
    :param left: called when it was left to other hosts, though it may be free.
    :ivar session: the session that there is; None for none.
    :ivar lease: by which the loops run; None while the lock isn't held.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        wait: Callable[[], float],
        first_wait: Callable[[], float],
        prefers: Callable[[], bool],
        has_room: Callable[[], bool],
        left: Callable[[], None],
    ) -> None:
        self.clock = clock
        self.name = name
        self.wait = wait
        self.first_wait = first_wait
        self.prefers = prefers
        self.has_room = has_room
        self.left = left
        self.loops: list[LoopBase] = []
        self.session: LockSession | None = None
        self.stage = Stage.STOPPED
        self.reason = "not started"
        self.lease: Lease | None = None
        self.holder: Holder | None = None
        self._said = ""
        self._given_back = Waiters(lambda: self.stage is not Stage.RELEASING)

    def take_in(self, loop: LoopBase) -> None:
        """Have one more loop depend on the lock."""
        self.loops.append(loop)
        loop.may_call = self.may_call
        if self.lease is None:
            loop.suspend(self._because())
        else:
            loop.lease = self.lease

    def may_call(self) -> bool:
        """Say whether a function may be called: the lock is held, for certain."""
        session = self.session
        return self.lease is not None and session is not None and session.holds(self.name)

    # -- what the machine does

    def enter(self, stage: Stage, reason: str) -> None:
        """Stand in some way, for a reason."""
        self.stage, self.reason = stage, reason
        if stage is Stage.REFUSED:
            self._say("{loops} stays suspended: lock {lock} is refused: {reason}")

    def hold(self, lease: Lease) -> None:
        """Hold the lock."""
        self.lease, self.holder = lease, None
        self.enter(Stage.HOLDING, "it is held on the listening session")
        self._said = ""
        number = "has no number" if lease.number is None else f"is number {lease.number}"
        self.log.info(
            "{loops} runs here: lock {lock} is held, and its lease {number}",
            loops=self.names,
            lock=self.name,
            number=number,
        )

    def stand_by(self, holder: Holder | None) -> None:
        """Stand by, while somebody else holds the lock."""
        self.holder = holder
        self.enter(Stage.STANDBY, f"held by {holder or 'another session'}")
        self._say("{loops} stands by here: lock {lock} is {reason}", info=True)

    def have_no_room(self) -> None:
        """Stand by, without trying."""
        self.enter(Stage.WAITING, "this process holds as many locks as it may")

    def note_failure(self, text: str) -> None:
        """Stand by, since a try came to nothing."""
        self.enter(Stage.STANDBY, text)
        self._say("{loops} stays suspended: lock {lock} could not be tried for: {reason}")

    def lose(self, stage: Stage, reason: str) -> None:
        """Hold the lock no more, if it was held."""
        held, self.lease, self.holder = self.lease, None, None
        self.enter(stage, reason)
        if held is not None and stage is not Stage.RELEASING:
            self.log.warn(
                "{loops} is suspended: lock {lock} is lost: {reason}",
                loops=self.names,
                lock=self.name,
                reason=reason,
            )

    def when_given_back(self) -> Deferred[None]:
        """Return a fresh Deferred that fires once the lock isn't being given back."""
        return self._given_back.when()

    @property
    def names(self) -> str:
        """The loops, by name."""
        return ", ".join(str(loop.name) for loop in self.loops)

    def _say(self, text: str, info: bool = False) -> None:
        """Log why it stands so: once, until the reason is another one."""
        if self.reason != self._said:
            self._said = self.reason
            write = self.log.info if info else self.log.warn
            write(text, loops=self.names, lock=self.name, reason=self.reason)

    # -- what follows, once the machine has come to rest

    def settle(self) -> None:
        """Let the loops follow: users' code may be called for that, so not inside a transition."""
        for loop in self.loops:
            if self.lease is None:
                loop.lease = None
                loop.suspend(self._because())
            elif loop.lease is not self.lease:
                loop.lease = self.lease
                loop.resume()
        self._given_back.look()

    def _because(self) -> str:
        return f"lock {self.name} is not held here"

    def status(self) -> LockStatus:
        """Return how it stands."""
        lease, session = self.lease, self.session
        if lease is None:
            shown = self.holder or Holder()
        else:
            shown = Holder(lease.host, lease.pid, lease.since, lease.number)
        stage = Stage.STANDBY if self.stage is Stage.TRYING else self.stage
        return LockStatus(
            name=self.name,
            state=stage.value,
            number=shown.number,
            since=shown.since,
            holder_host=shown.host,
            holder_pid=shown.pid,
            standbys=None if session is None else session.standbys(self.name),
            reason=self.reason,
        )
