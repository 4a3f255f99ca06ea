"""
A world for schedules: a model of a server's locks, and hosts that run loops by them.

The hosts are real but for their sessions: the leadership, the locks on a session, the heartbeat and
the loops. Each has a clock of its own, which stands still while its process is frozen and then
makes a leap; the server's clock never does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fake_sessions import FakeSession
from txdoorbell.fleet.keys import lock_key
from txdoorbell.fleet.lease_table import LOST_SQL, TRY_SQL, UNLOCK_SQL, take_sql
from txdoorbell.fleet.locking import RELEASE_CHANNEL, LockAudience
from txdoorbell.leadership import Leadership
from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.heartbeat import Heartbeat
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.locks import SessionLocks
from txdoorbell.listening.locktiming import LockTiming
from txdoorbell.loop import Loop
from txdoorbell.notification import Notification
from txdoorbell.switchboard import Switchboard

LOCKS = ("billing", "reports")
KEYS = {lock_key(name)[1]: name for name in LOCKS}
BEAT = 2.0
AGAIN = 0.5
"""Seconds from the loss of a session to the next one."""


class ModelSession(FakeSession):
    """A session whose questions a model of the server answers."""

    def __init__(self, host: Host, lost: Callable[[str], None]) -> None:
        super().__init__(host.clock, lost)
        self.host = host
        self.muted = False
        host.world.server.count(self)
        self.connected.callback(None)

    def query(self, sql: str, values: Any = None, *, within: float) -> Any:
        """Send a question, which arrives unless the link is dead."""
        question: Deferred[Any] = Deferred()
        answer = self.expect(self.dialogue.follow(question), "no answer to a query", within)
        server = self.host.world.server
        if not self.muted and self in server.deadlines:
            rows = server.ask(self, sql, values)
            self.host.arrive(self, lambda: answer_with(question, rows))
        return answer

    def _leave_server(self) -> None:
        if not self.muted:
            self.host.world.server.forget(self)

    def end(self, reason: str) -> None:
        """End; the server learns of it unless the link is dead."""
        self._leave_server()
        super().end(reason)

    def close(self) -> None:
        """Close it, as above."""
        self._leave_server()
        super().close()


def answer_with(question: Deferred[Any], rows: list[Any]) -> None:
    """Answer a question, unless nobody waits for that."""
    if not question.called:
        question.callback(rows)


class Server:
    """The locks, the table of leases, and each session's idle time, by the server's own clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.holders: dict[str, ModelSession] = {}
        self.numbers: Counter[str] = Counter()
        self.deadlines: dict[ModelSession, float] = {}
        self.killed: set[ModelSession | None] = set()

    def kill(self, session: ModelSession) -> None:
        """End a session as an administrator does: no lease of its client accounts for that."""
        self.killed.add(session)
        self.end(session, "terminating connection due to administrator command")

    def count(self, session: ModelSession) -> None:
        """Count a session's idle time anew."""
        self.deadlines[session] = self.world.now + LockTiming(BEAT).timeout

    def ask(self, session: ModelSession, sql: str, values: Any) -> list[Any]:
        """Answer a question."""
        self.count(session)
        if sql == TRY_SQL:
            return self.try_for(session, *values)
        if sql == take_sql():
            self.numbers.update(values[2])
            return [(name, self.numbers[name], self.world.now) for name in values[2]]
        if sql == UNLOCK_SQL:
            self.free(session, values[1])
            return []
        if sql == LOST_SQL:
            return [(name,) for name in values[0] if self.holders.get(name) is not session]
        return [("kept",)] if "txdoorbell.locks" in sql else []

    def try_for(self, session: ModelSession, keys: list[int], room: int | None) -> list[Any]:
        """Give locks that are free, in the order asked for, as far as there is room."""
        got: list[Any] = []
        for key in keys:
            if len(got) != room and self.holders.setdefault(KEYS[key], session) is session:
                got.append((key,))
        return got

    def free(self, session: ModelSession, names: Any) -> None:
        """Free locks in order, and say so."""
        for name in names:
            if self.holders.get(name) is session:
                del self.holders[name]
            for host in self.world.hosts:
                host.hear(name)

    def forget(self, session: ModelSession) -> None:
        """End a session: what it holds is free."""
        self.deadlines.pop(session, None)
        for name in [name for name, holder in self.holders.items() if holder is session]:
            del self.holders[name]

    def end(self, session: ModelSession, reason: str) -> None:
        """End a session from this side; its client learns of it, unless the link is dead."""
        self.forget(session)
        if not session.muted:
            session.host.arrive(session, lambda: session.end(reason))

    def expire(self) -> None:
        """End the sessions that have been idle for too long."""
        for session, deadline in list(self.deadlines.items()):
            if self.world.now >= deadline:
                self.end(session, "terminating connection due to idle-session timeout")


class Connector:
    """Takes settings for granted."""

    async def apply(self, session: object, settings: Mapping[str, str]) -> frozenset[str]:
        """Know all of them."""
        return frozenset(settings)


class Host:
    """One process of the fleet, with a loop for each lock."""

    def __init__(self, world: World, name: str, max_loops: int | None) -> None:
        self.world = world
        self.host = name
        self.clock = Clock()
        self.clock.advance(world.now)
        self.frozen = self.cut = False
        self.backlog = 0.0
        self.arrivals: list[Callable[[], object]] = []
        self.session: ModelSession | None = None
        self.running = False
        self.active: dict[str, Deferred[None]] = {}
        self.announcer = Announcer(self.clock)
        self.desk = LockDesk(self.announcer)
        self.switchboard = Switchboard()
        source: Any = self
        self.leadership = Leadership(
            self.clock, source, self.switchboard, BEAT, max_loops, world.chance
        )
        self.loops = {name: Loop(self.clock, name=name) for name in LOCKS}
        for name, loop in self.loops.items():
            loop.add(lambda name=name: self.work(name))
            self.leadership.add(loop, name)

    # -- what a source is asked

    def serve_locks(self, audience: LockAudience, interval: float) -> None:
        """Take whom to tell."""
        self.desk.serve(audience, interval)

    def connect(self) -> None:
        """Have a new session, if one can be had."""
        if not self.running or self.session is not None:
            return
        if self.cut:
            self.clock.callLater(AGAIN, self.connect)
            return
        session = self.session = ModelSession(self, self.lost)
        heart = Heartbeat(self.clock, session, 0, 5.0, lambda: False)
        self.heart = heart
        reactor: Any = self.clock
        locks = self.locks = SessionLocks(
            reactor, session, False, LockTiming(BEAT), 5.0, self.desk, self.host
        )

        async def prepare() -> None:
            connector: Any = Connector()
            await locks.prepare(connector)
            heart.insist(BEAT, locks.beat)
            self.desk.opened(locks)

        Deferred.fromCoroutine(prepare()).addErrback(lambda _: None)

    def lost(self, reason: str) -> None:
        """Learn that the session has ended; have another one later."""
        self.session = None
        self.heart.stop()
        self.locks.end()
        self.desk.closed(reason)
        self.clock.callLater(AGAIN, self.connect)

    def arrive(self, session: ModelSession, happen: Callable[[], object]) -> None:
        """Let something come from the server: after this turn, or when the process goes on."""

        def come() -> None:
            if not session.muted and not session.reason:
                happen()

        if self.frozen:
            self.arrivals.append(come)
        else:
            self.clock.callLater(0, come)

    def hear(self, name: str) -> None:
        """Be notified that a lock was given back."""
        if self.session is not None:
            ring = Notification(RELEASE_CHANNEL, name)
            self.arrive(self.session, lambda: self.switchboard.dispatch(ring))

    # -- what runs

    def work(self, name: str) -> object:
        """Begin to do what must be done in one place only."""
        lease = self.loops[name].lease
        assert lease is not None, "a function is called without a lease"
        self.world.begun(self, name, int(lease))
        if not self.world.long:
            return None
        active: Deferred[None] = Deferred()
        self.active[name] = active

        def over(result: Any) -> Any:
            del self.active[name]
            if isinstance(result, Failure):
                result.trap(CancelledError)

        return active.addBoth(over)

    # -- what may happen to it

    def start(self) -> None:
        """Start the process's service."""
        if not self.running and not self.frozen:
            self.running = True
            for loop in self.loops.values():
                loop.startService()
            self.leadership.start()
            self.connect()

    def stop(self) -> None:
        """Stop it in order."""
        if not self.running or self.frozen:
            return
        self.running = False
        self.leadership.stop()
        for loop in self.loops.values():
            loop.stopService().addCallback(self.stopped, loop)
        for active in list(self.active.values()):
            active.callback(None)
        self.clock.pump([0] * 4)
        if self.session is not None:
            self.session.close()
            self.session = None
            self.heart.stop()
            self.locks.end()
            self.desk.closed("stopped")
        self.clock.pump([0] * 4)

    def stopped(self, _: None, loop: Loop) -> Deferred[None]:
        """Give the lock back of a loop that has stopped."""
        return self.leadership.give_back(loop)

    def freeze(self) -> None:
        """Stop the process, as SIGSTOP does."""
        self.frozen = True

    def thaw(self, timers_first: bool) -> None:
        """Let it go on: what has come, and the timers, in one order or the other."""
        if not self.frozen:
            return
        self.frozen = False
        backlog, self.backlog = self.backlog, 0.0
        arrivals, self.arrivals = self.arrivals, []
        if timers_first:
            self.clock.advance(backlog)
        else:
            self.clock.rightNow += backlog
        for happen in arrivals:
            happen()
        self.clock.pump([0] * 4)

    def sever(self) -> None:
        """Let nothing get through any more on the session that there is."""
        self.cut = True
        if self.session is not None:
            self.session.muted = True

    def mend(self) -> None:
        """Let new sessions through again; the old one, which has lost something, stays mute."""
        self.cut = False

    def kill(self) -> None:
        """Have its backend ended."""
        if self.session is not None:
            self.world.server.kill(self.session)

    def ring(self) -> None:
        """Notify its loops, which begin at once, before any timer that is due as well."""
        if self.session is not None:
            self.arrive(self.session, self.be_rung)

    def be_rung(self) -> None:
        """Hear a ring."""
        for loop in self.loops.values():
            loop.notified_all("jobs", [Notification("jobs")])
            loop.heard_all()

    def finish(self) -> None:
        """End what is active."""
        if not self.frozen:
            for active in list(self.active.values()):
                active.callback(None)

    def next_event(self) -> float:
        """Return the seconds until something happens here."""
        calls = self.clock.getDelayedCalls()
        if self.frozen or not calls:
            return float("inf")
        return max(0.0, min(call.getTime() for call in calls) - self.clock.seconds())


class World:
    """Some hosts and one server; it looks after what may never happen."""

    def __init__(self, hosts: int, max_loops: int | None) -> None:
        self.now = 1000.0
        self.chance = Random(7).random
        self.long = True
        self.calls = 0
        self.last: Counter[str] = Counter()
        self.server = Server(self)
        self.hosts = [Host(self, f"host{number}", max_loops) for number in range(hosts)]

    def begun(self, host: Host, name: str, number: int) -> None:
        """See whether a function may begin."""
        self.calls += 1
        holder = self.server.holders.get(name)
        if host.session in self.server.killed:
            return
        assert holder is not None, f"{name} runs on {host.host}: the server has freed it"
        assert holder.host is host, f"{name} runs on {host.host}, and {holder.host.host} holds it"
        assert number >= self.last[name], "an old lease comes after a newer one"
        self.last[name] = number
        self.check()

    def check(self) -> None:
        """
        See whether anything is active twice.

        Not among processes that are frozen, nor those that can't know yet that they were killed.
        """
        able = [h for h in self.hosts if not h.frozen and h.session not in self.server.killed]
        for name in LOCKS:
            active = [host for host in able if name in host.active]
            assert len(active) <= 1, f"{name} is active on {[host.host for host in active]}"

    def advance(self, seconds: float) -> None:
        """Let time pass, from one thing that happens to the next."""
        end = self.now + seconds
        for _ in range(100_000):
            waits = [host.next_event() for host in self.hosts]
            waits += [deadline - self.now for deadline in self.server.deadlines.values()]
            step = max(0.0, min([*waits, end - self.now]))
            self.now += step
            for host in self.hosts:
                if host.frozen:
                    host.backlog += step
                else:
                    host.clock.advance(step)
            self.server.expire()
            self.check()
            if self.now >= end - 1e-9 and min(host.next_event() for host in self.hosts) > 0:
                return
        raise AssertionError("it goes on and on")
