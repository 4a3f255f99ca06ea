"""One lock's election: what each state does with each thing that can happen, pair by pair."""

from __future__ import annotations

import re
from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import LogMixin
from txdoorbell.fleet.candidate import Candidate
from txdoorbell.fleet.election import new_election
from txdoorbell.fleet.locking import Answer, Denied, Granted, Holder, Lease, LockFailed, Passed
from txdoorbell.loop import Loop

TABLE = """
event       stopped  apart     refused   standby  arriving  aiming   trying     holding    releasing
begin       apart    -         -         -        -         -        -          -          aiming
opened      -        arriving  arriving  -        -         -        -          -          -
refused     -        refused   refused   -        -         -        -          -          -
closed      -        -         -         apart    apart     apart    apart      apart      stopped
freed       -        -         -         aiming   aiming    -        -          -          -
round       -        -         -         trying   -         -        -          -          -
aimed       -        -         -         -        trying    trying   -          -          -
crowded     -        -         -         -        standby   standby  standby    -          -
left        -        -         -         -        standby   standby  standby    -          -
granted     -        -         -         -        -         -        holding    -          -
denied      -        -         -         -        -         -        standby    -          -
missed      -        -         -         -        -         -        aiming     -          -
failed      -        -         -         -        -         -        standby    -          -
undone      -        -         -         -        -         -        -          aiming     -
resign      -        stopped   stopped   stopped  stopped   stopped  releasing  releasing  -
given_back  -        -         -         -        -         -        -          -          stopped
"""
LEASE = Lease("billing", 7, 1.0, "here", 1)
FIRST = 5
"""How many times as long a head start is after the beginning of a session, here."""
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "refused": ("a pooler",),
    "closed": ("the network is gone",),
    "granted": (LEASE,),
    "denied": (Holder("there", 2),),
    "failed": ("the server is tired",),
}
WAYS: dict[str, tuple[str, ...]] = {
    "stopped": (),
    "apart": ("begin",),
    "refused": ("begin", "refused"),
    "arriving": ("begin", "opened"),
    "aiming": ("begin", "opened", "freed"),
    "trying": ("begin", "opened", "aimed"),
    "standby": ("begin", "opened", "aimed", "denied"),
    "holding": ("begin", "opened", "aimed", "granted"),
    "releasing": ("begin", "opened", "aimed", "granted", "resign"),
}


def table() -> dict[tuple[str, str], str]:
    """Return the table as written: (event, state) -> state, or a dash."""
    header, *lines = (re.split(r"\s{2,}", line) for line in TABLE.strip().splitlines())
    return {
        (event, state): what
        for event, *says in lines
        for state, what in zip(header[1:], says, strict=True)
    }


class FakeSession:
    """A session for which the test speaks."""

    refusal: str | None = None

    def __init__(self) -> None:
        self.tries: list[Deferred[Answer]] = []
        self.returns: list[Deferred[None]] = []

    def holds(self, name: str) -> bool:
        """Hold anything."""
        return True

    def stand_for(self, names: Iterable[str]) -> None:
        """Show nothing."""

    def outdated(self, name: str) -> None:
        """Know nothing."""

    def standbys(self, name: str) -> int | None:
        """Count nobody."""
        return None

    def try_for(self, name: str) -> Deferred[Answer]:
        """Leave it open."""
        self.tries.append(Deferred())
        return self.tries[-1]

    def give_back(self, name: str) -> Deferred[None]:
        """Leave it open."""
        self.returns.append(Deferred())
        return self.returns[-1]


class Bench:
    """An election and everything that it touches."""

    def __init__(self, wait: float = 0.1) -> None:
        self.clock = Clock()
        self.room = self.prefers = True
        self.left: list[str] = []
        self.waits = wait
        self.session = FakeSession()
        self.candidate = Candidate(
            self.clock,
            "billing",
            lambda: self.waits,
            lambda: FIRST * self.waits,
            lambda: self.prefers,
            lambda: self.room,
            lambda: self.left.append("left"),
        )
        self.candidate.session = self.session
        self.loop = Loop(self.clock, name="billing")
        self.candidate.take_in(self.loop)
        self.election = new_election(self.candidate)

    def happen(self, event: str) -> object:
        """Let something happen, and the loops follow."""
        result = getattr(self.election, event)(*ARGUMENTS.get(event, ()))
        self.candidate.settle()
        return result

    def enter(self, state: str) -> None:
        """Bring the election into a state."""
        for event in WAYS[state]:
            self.happen(event)

    @property
    def state(self) -> str:
        """Name the state, by all that can be seen of it from outside."""
        stage = self.candidate.stage.value.split(",")[0]
        if stage == "waiting":
            return "apart"
        if stage == "standby" and "trying" in self.candidate.stage.value:
            return "trying"
        if stage == "standby":
            waits = [call.getTime() for call in self.clock.getDelayedCalls()]
            return {0.1: "aiming", FIRST * 0.1: "arriving"}[waits[0]] if waits else "standby"
        return stage


class TableTests(SynchronousTestCase):
    """Every pair."""

    def test_complete(self) -> None:
        """The table has all states, and each has a way to it."""
        self.assertEqual({state for _, state in table()}, set(WAYS))
        for state in WAYS:
            bench = Bench()
            bench.enter(state)
            self.assertEqual(bench.state, state)

    def test_each_pair(self) -> None:
        """Each event leads where the table says; the loop runs just in one of the states."""
        for (event, state), what in table().items():
            with self.subTest(f"{event} in {state}"):
                bench = Bench()
                bench.enter(state)
                bench.happen(event)
                expected = state if what == "-" else what
                if event == "crowded" and expected == "standby":
                    self.assertIn("as many locks as it may", bench.candidate.reason)
                else:
                    self.assertEqual(bench.state, expected)
                self.assertEqual(bench.candidate.lease, LEASE if expected == "holding" else None)
                self.assertIs(bench.loop.lease, bench.candidate.lease)
                self.assertEqual(bench.loop.suspension is None, expected == "holding")

    def test_nothing_left(self) -> None:
        """Stopped from whatever state, nothing of it is left on the clock."""
        for state in WAYS:
            bench = Bench()
            bench.enter(state)
            bench.happen("resign")
            self.assertEqual(bench.clock.getDelayedCalls(), [])


class TryTests(LogMixin, SynchronousTestCase):
    """Head starts, answers that come late, and what the log says."""

    def setUp(self) -> None:
        """Have a bench."""
        self.capture_logs()
        self.bench = Bench()
        self.addCleanup(lambda: self.assertEqual(self.bench.clock.getDelayedCalls(), []))
        self.addCleanup(self.bench.happen, "resign")

    def tries(self) -> int:
        """Return how often the session was asked."""
        return len(self.bench.session.tries)

    def test_head_start(self) -> None:
        """It tries when others have had their chance; with more locks, when more have had it."""
        self.bench.enter("aiming")
        self.bench.waits = 0.3
        self.bench.clock.advance(0.1)
        self.assertEqual(self.tries(), 0)
        self.bench.clock.advance(0.2)
        self.assertEqual(self.tries(), 1)

    def test_no_room(self) -> None:
        """A process that has no room left by then doesn't try."""
        self.bench.enter("aiming")
        self.bench.room = False
        self.bench.clock.advance(0.1)
        self.assertEqual((self.tries(), self.bench.candidate.stage.value), (0, "waiting"))

    def test_not_preferred(self) -> None:
        """A process that doesn't prefer the loop leaves it to a later round, when all had time."""
        self.bench.enter("aiming")
        self.bench.prefers = False
        self.bench.clock.advance(0.1)
        self.assertEqual((self.tries(), self.bench.state), (0, "standby"))

    def test_passed(self) -> None:
        """A lock that was left alone for want of room is waited for, and the status says why."""
        self.bench.enter("trying")
        self.bench.room = False
        self.bench.session.tries[0].callback(Passed())
        self.assertEqual((self.bench.candidate.stage.value, self.bench.left), ("waiting", []))

    def test_left(self) -> None:
        """One that was left to other hosts is stood by for; it may be tried for again soon."""
        self.bench.enter("trying")
        self.bench.session.tries[0].callback(Passed())
        self.assertEqual((self.bench.state, self.bench.left), ("standby", ["left"]))

    def test_granted(self) -> None:
        """The answer of the session leads on, and the loop is resumed."""
        self.bench.enter("trying")
        self.bench.session.tries[0].callback(Granted(LEASE))
        self.assertIs(self.bench.loop.lease, LEASE)

    def test_freed_meanwhile(self) -> None:
        """What is given back while it is tried for is tried for again, before the next round."""
        self.bench.enter("trying")
        self.bench.happen("freed")
        self.bench.session.tries[0].callback(Denied(None))
        self.bench.clock.advance(0.1)
        self.assertEqual(self.tries(), 2)

    def test_late_answer(self) -> None:
        """An answer that comes when the session has been lost is none."""
        self.bench.enter("trying")
        self.bench.happen("closed")
        self.bench.session.tries[0].callback(Granted(LEASE))
        self.assertEqual((self.bench.state, self.bench.loop.lease), ("apart", None))

    def test_session_ends(self) -> None:
        """A try that fails because its session ends says nothing: the loss is told by itself."""
        self.bench.enter("trying")
        self.bench.session.tries[0].errback(ConnectionError("gone"))
        self.assertEqual(self.bench.state, "trying")

    def test_failures(self) -> None:
        """A failed try is one line in the log, until the text is another one."""
        self.bench.enter("standby")
        for text in ("tired", "tired", "asleep"):
            self.bench.happen("round")
            self.bench.session.tries[-1].errback(LockFailed(text))
        texts = [text.rpartition(": ")[2] for text in self.logged_texts()]
        self.assertEqual(texts, ["tired", "asleep"])

    def test_given_back(self) -> None:
        """Whoever gives up a lock waits until the server has it, or the session is gone."""
        for end in (lambda: self.bench.session.returns[-1].callback(None), self.close):
            self.bench.enter("holding")
            waiters = [self.bench.happen("resign") for _ in range(2)]
            self.assertNoResult(waiters[0])
            end()
            for waiter in waiters:
                self.assertIsNone(self.successResultOf(waiter))  # type: ignore[arg-type]

    def close(self) -> None:
        """Lose the session."""
        self.bench.happen("closed")

    def test_wanted_again(self) -> None:
        """Wanted again while it is given back, it is tried for anew; nobody is kept waiting."""
        self.bench.enter("releasing")
        waiter = self.bench.happen("resign")
        self.bench.happen("begin")
        self.successResultOf(waiter)  # type: ignore[arg-type]
        self.bench.session.returns[0].callback(None)
        self.assertEqual(self.bench.state, "aiming")
