"""The listener's states: what each does with each thing that can happen, without PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from automat import NoTransition
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.audience import RecordingAudience
from tests.logs import LogMixin
from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.core import Core
from txdoorbell.listening.lifecycle import Life, LiveSession, new_life
from txdoorbell.listening.logbook import Logbook
from txdoorbell.listening.probe import ProbeFailed
from txdoorbell.notification import ListenerStopped, State

WANTED = frozenset({"jobs"})


class FakeSession:
    """A session for which the test speaks."""

    def __init__(self, channels: frozenset[str]) -> None:
        self.wanted = channels
        self.committed: frozenset[str] | None = None
        self.latency: float | None = 0.25
        self.queue_usage: float | None = 0.5
        self.started = self.closed = 0

    def start(self) -> None:
        """Be started, which happens once."""
        self.started += 1

    def update(self, channels: frozenset[str]) -> None:
        """Want these."""
        self.wanted = channels

    def probe(self) -> Deferred[float]:
        """Leave it open."""
        return Deferred()

    def close(self) -> None:
        """Be closed."""
        self.closed += 1


class Bench(NamedTuple):
    """A machine and everything that it touches."""

    life: Life
    core: Core
    clock: Clock
    sessions: list[FakeSession]
    audience: RecordingAudience

    def established(self, session: FakeSession) -> None:
        """Commit LISTEN, as a session does."""
        session.committed = session.wanted
        self.life.established(session, "LISTEN committed")

    def waits(self) -> list[float]:
        """Return the seconds until each attempt that is planned; announcements come at once."""
        seconds = [call.getTime() - self.clock.seconds() for call in self.clock.getDelayedCalls()]
        return [one for one in seconds if one > 0]

    def state(self) -> str:
        """Name the state, by all that can be seen of it from outside."""
        live = [session for session in self.sessions if not session.closed]
        committed = bool(live) and live[-1].committed is not None
        if self.core.state is not State.STOPPED:
            return SEEN[self.core.state, len(live), len(self.waits()), committed]
        waiter = self.life.when_listening()
        ended: list[object] = []
        waiter.addErrback(ended.append)
        return "stopped" if ended else "new"


SEEN = {
    (State.CONNECTING, 1, 0, False): "connecting",
    (State.LISTENING, 1, 0, True): "listening",
    (State.WAITING, 0, 1, False): "waiting",
    (State.DEAF, 1, 0, True): "doubtful",
    (State.DEAF, 0, 1, False): "deaf_waiting",
    (State.DEAF, 1, 0, False): "deaf_connecting",
}

# How each state is reached: the events since the beginning.
PATHS = {
    "new": "",
    "stopped": "stop",
    "connecting": "start",
    "listening": "start established",
    "waiting": "start lost",
    "doubtful": "start established unsent",
    "deaf_waiting": "start established silent",
    "deaf_connecting": "start established silent retry",
}

# What becomes of each state with each event. "=" stays, "never" can't happen and is an error.
EVENTS = (
    "start stop want when_listening probe retry"
    " established changed restored heard silent unsent lost"
)
TABLE = {
    "new": "connecting stopped = = = never never never never never never never never",
    "stopped": "connecting = = = = never never never never never never never never",
    "connecting": "= stopped = = = never listening never never never never never waiting",
    "listening": "= stopped = = = never never = = = deaf_waiting doubtful waiting",
    "waiting": "= stopped = = = connecting never never never never never never never",
    "doubtful": "= stopped = = = never never = = listening deaf_waiting = deaf_waiting",
    "deaf_waiting": "= stopped = = = deaf_connecting never never never never never never never",
    "deaf_connecting": "= stopped = = = never doubtful never never never never never deaf_waiting",
}


class LifecycleTests(LogMixin, SynchronousTestCase):
    """The machine on a Clock, with sessions for which the test speaks."""

    def bench(self, path: str = "") -> Bench:
        """Return a machine to which these events have happened; in the end nothing is left."""
        clock, sessions = Clock(), list[FakeSession]()

        def open_session(life: Life, channels: frozenset[str]) -> LiveSession:
            sessions.append(FakeSession(channels))
            return sessions[-1]

        logbook = Logbook("listener", lambda: "here")
        core = Core(clock, open_session, float, Announcer(clock), logbook, wanted=WANTED)
        core.audience = audience = RecordingAudience()
        bench = Bench(new_life(core), core, clock, sessions, audience)
        self.addCleanup(self.finish, bench)
        for event in path.split():
            happen(bench, event)
        return bench

    def finish(self, bench: Bench) -> None:
        """Stop, and see that nothing is left."""
        bench.life.stop()
        bench.clock.advance(0)
        self.assertEqual(bench.clock.getDelayedCalls(), [])
        self.assertEqual([one for one in bench.sessions if one.closed != 1], [])
        self.assertEqual([one for one in bench.sessions if one.started != 1], [])

    def test_paths(self) -> None:
        """Each state can be told from the others by what it has and what it says."""
        for state, path in PATHS.items():
            self.assertEqual(self.bench(path).state(), state)

    def test_table(self) -> None:
        """Each event leads from each state to the one that the table says."""
        for state, row in TABLE.items():
            for event, expected in zip(EVENTS.split(), row.split(), strict=True):
                bench = self.bench(PATHS[state])
                if expected == "never":
                    self.assertRaises(NoTransition, happen, bench, event)
                else:
                    happen(bench, event)
                    wanted = state if expected == "=" else expected
                    self.assertEqual(bench.state(), wanted, f"{event} when {state}")

    # -- what is told

    def test_told(self) -> None:
        """The audience is told of each change of state once, and of LISTEN, in order."""
        bench = self.bench("start established lost retry established stop")
        bench.clock.advance(0)
        self.assertEqual(
            bench.audience.calls,
            [
                (State.CONNECTING, "started"),
                (State.LISTENING, "LISTEN committed"),
                ("LISTEN", WANTED, True),
                (State.WAITING, "lost it"),
                (State.CONNECTING, "trying again"),
                (State.LISTENING, "LISTEN committed"),
                ("LISTEN", WANTED, True),
                (State.STOPPED, "stopped"),
            ],
        )

    def test_told_later(self) -> None:
        """Nobody is called from inside what happens, only from the reactor."""
        bench = self.bench("start established")
        self.assertEqual(bench.audience.calls, [])

    def test_deaf_until_heard(self) -> None:
        """Once a probe wasn't heard it is deaf, through new sessions, until one is heard."""
        bench = self.bench("start established silent retry established silent retry lost retry")
        bench.clock.advance(0)
        self.assertEqual(bench.audience.states, [State.CONNECTING, State.LISTENING, State.DEAF])
        happen(bench, "established")
        happen(bench, "heard")
        bench.clock.advance(0)
        self.assertEqual(bench.audience.states[-1], State.LISTENING)
        self.assertEqual(len(bench.audience.listens), 3)

    def test_further_channels(self) -> None:
        """LISTEN for further channels is told; an UNLISTEN alone isn't."""
        bench = self.bench("start established")
        bench.life.changed(frozenset({"mail"}))
        bench.life.changed(frozenset())
        bench.clock.advance(0)
        self.assertEqual(bench.audience.listens[1:], [({"mail"}, False)])

    def test_restored(self) -> None:
        """LISTEN that was undone and made again is told like new, and it is a line in the log."""
        self.capture_logs()
        bench = self.bench("start established")
        bench.life.restored(WANTED)
        bench.life.restored(frozenset())
        bench.clock.advance(0)
        self.assertEqual(bench.audience.listens[1:], [(WANTED, False)])
        self.assertEqual(bench.audience.states[-1], State.LISTENING)
        lines = [text for text in self.logged_texts() if "undid" in text]
        self.assertEqual(
            lines,
            [
                "listener (here): something undid LISTEN in its session (UNLISTEN or DISCARD, by a"
                f" pooler?); it is committed again for {channels}"
                for channels in ("'jobs'", "the private channel of its probes")
            ],
        )

    def test_measured(self) -> None:
        """What the last probe found is kept, also when the session is gone."""
        bench = self.bench("start established heard lost")
        self.assertEqual((bench.core.probe_latency, bench.core.queue_usage), (0.25, 0.5))

    def test_measured_in_doubt(self) -> None:
        """So is what a probe found that could not be sent: the queue may be full."""
        bench = self.bench("start established heard")
        bench.sessions[0].queue_usage = 1.0
        happen(bench, "unsent")
        self.assertEqual((bench.core.probe_latency, bench.core.queue_usage), (0.25, 1.0))

    def test_measured_nothing(self) -> None:
        """What the last session has not found out is known of the one before."""
        bench = self.bench("start established heard lost retry established")
        bench.sessions[-1].latency = bench.sessions[-1].queue_usage = None
        happen(bench, "unsent")
        self.assertEqual((bench.core.probe_latency, bench.core.queue_usage), (0.25, 0.5))

    def test_without_audience(self) -> None:
        """A listener whom nobody listens to works all the same."""
        bench = self.bench()
        bench.core.audience = None
        for event in ["start", "established", "silent", "retry", "established", "heard"]:
            happen(bench, event)
        self.assertEqual(bench.core.state, State.LISTENING)

    # -- attempts

    def test_backoff(self) -> None:
        """The wait grows with each failure in a row; LISTEN ends the row."""
        bench = self.bench("start lost")
        self.assertEqual(bench.waits(), [1])
        for expected in (2, 3):
            happen(bench, "retry")
            happen(bench, "lost")
            self.assertEqual(bench.waits(), [expected])
        happen(bench, "retry")
        happen(bench, "established")
        happen(bench, "lost")
        self.assertEqual(bench.waits(), [1])

    def test_backoff_while_deaf(self) -> None:
        """A LISTEN behind which nothing is heard doesn't end the row; a heard probe does."""
        bench = self.bench("start established silent retry established silent")
        self.assertEqual(bench.waits(), [2])
        happen(bench, "retry")
        happen(bench, "established")
        happen(bench, "heard")
        happen(bench, "lost")
        self.assertEqual(bench.waits(), [1])

    def test_backoff_restart(self) -> None:
        """A stop ends the row."""
        bench = self.bench("start lost retry lost stop start lost")
        self.assertEqual(bench.waits(), [1])

    def test_lost_at_once(self) -> None:
        """A session that is lost while it is being started is lost like any other."""
        bench = self.bench()

        class Stillborn(FakeSession):
            def start(self) -> None:
                super().start()
                self.close()
                bench.life.lost(self, "stillborn")

        def open_session(life: Life, channels: frozenset[str]) -> LiveSession:
            bench.sessions.append(Stillborn(channels))
            return bench.sessions[-1]

        bench.core.open_session = open_session
        bench.life.start()
        self.assertEqual(bench.state(), "waiting")
        bench.clock.advance(0)
        self.assertEqual(bench.audience.states, [State.CONNECTING, State.WAITING])

    # -- channels

    def test_channels_of_the_next_session(self) -> None:
        """What is wanted when a session is made is what it listens to, told or not."""
        bench = self.bench("start lost")
        bench.life.want(frozenset({"mail"}))
        happen(bench, "retry")
        self.assertEqual(bench.sessions[-1].wanted, {"mail"})
        bench.life.want(frozenset({"news"}))
        self.assertEqual(bench.sessions[-1].wanted, {"news"})

    # -- waiting

    def test_when_listening(self) -> None:
        """It fires for all who wait, in a later turn, once LISTEN is committed."""
        for before, after in (
            ("", "start established"),
            ("start", "established"),
            ("start lost", "retry established"),
            ("start established silent", "retry established"),
            ("start established silent retry", "established"),
        ):
            bench = self.bench(before)
            waiters = [bench.life.when_listening() for _ in range(2)]
            for event in after.split():
                happen(bench, event)
            self.assertNoResult(waiters[0])
            bench.clock.advance(0)
            self.assertEqual([self.successResultOf(waiter) for waiter in waiters], [None, None])

    def test_when_listening_told_first(self) -> None:
        """Whoever waits goes on after the audience was told to catch up."""
        bench = self.bench("start")
        seen: list[int] = []
        bench.life.when_listening().addCallback(lambda _: seen.append(len(bench.audience.listens)))
        happen(bench, "established")
        bench.clock.advance(0)
        self.assertEqual(seen, [1])

    def test_when_listening_already(self) -> None:
        """It has fired already when nothing more is wanted, believed or not."""
        for path in ("start established", "start established unsent"):
            self.successResultOf(self.bench(path).life.when_listening())

    def test_when_listening_to_more(self) -> None:
        """While further channels aren't committed it waits, also over the loss of the session."""
        bench = self.bench("start established")
        bench.life.want(frozenset({"jobs", "mail"}))
        waiter = bench.life.when_listening()
        happen(bench, "lost")
        happen(bench, "retry")
        bench.clock.advance(0)
        self.assertNoResult(waiter)
        happen(bench, "established")
        bench.clock.advance(0)
        self.successResultOf(waiter)

    def test_when_listening_to_less(self) -> None:
        """When what was missing isn't wanted any more, there is nothing to wait for."""
        bench = self.bench("start established")
        bench.life.want(frozenset({"jobs", "mail"}))
        waiter = bench.life.when_listening()
        bench.life.want(WANTED)
        bench.clock.advance(0)
        self.successResultOf(waiter)

    def test_when_listening_stopped(self) -> None:
        """It fails for all who wait when the listener is stopped, and afterwards at once."""
        for path in PATHS.values():
            bench = self.bench(path)
            bench.life.want(frozenset({"mail"}))
            waiter = bench.life.when_listening()
            bench.life.stop()
            bench.clock.advance(0)
            self.failureResultOf(waiter, ListenerStopped)
            self.failureResultOf(bench.life.when_listening(), ListenerStopped)

    def test_probe(self) -> None:
        """A probe is the live session's; without one it fails, and says why."""
        for state, path in PATHS.items():
            bench = self.bench(path)
            probe = bench.life.probe()
            if state in ("listening", "doubtful"):
                self.assertNoResult(probe)
            elif state in ("new", "stopped"):
                self.failureResultOf(probe, ListenerStopped)
            else:
                error = self.failureResultOf(probe, ProbeFailed).value
                self.assertIn(bench.core.reason, str(error))

    # -- the log

    def test_log(self) -> None:
        """An outage is one line however many attempts it takes; each new cause is one more."""
        self.capture_logs()
        bench = self.bench("start established lost retry lost retry lost retry")
        bench.life.lost(bench.sessions[-1], "something else")
        bench.sessions[-1].close()
        happen(bench, "retry")
        happen(bench, "established")
        self.assertEqual(
            [text.partition(" is ")[2] for text in self.logged_texts(LogLevel.info)],
            [
                "connecting: started",
                "listening: LISTEN committed",
                "waiting: lost it",
                "waiting: something else",
                "listening: LISTEN committed",
            ],
        )

    def test_log_line(self) -> None:
        """A line says who, where, and to what it listens; of very many channels, some."""
        self.capture_logs()
        bench = self.bench()
        bench.life.want(frozenset(f"c{n:02}" for n in range(12)))
        happen(bench, "start")
        shown = ", ".join(f"'c{n:02}'" for n in range(10))
        self.assertEqual(
            self.logged_texts(LogLevel.info),
            [f"listener (here, channels {shown} and 2 more) is connecting: started"],
        )


def happen(bench: Bench, event: str) -> None:
    """Make an event happen to the machine, as the world would."""
    session = bench.sessions[-1] if bench.sessions else FakeSession(WANTED)
    if event == "retry" and bench.waits():
        bench.clock.advance(*bench.waits())
        return
    acts: dict[str, Callable[[], object]] = {
        "want": lambda: bench.life.want(WANTED),
        "established": lambda: bench.established(session),
        "changed": lambda: bench.life.changed(frozenset()),
        "restored": lambda: bench.life.restored(WANTED),
        "heard": lambda: bench.life.heard(session, "heard"),
        "silent": lambda: bench.life.silent(session, "not heard"),
        "unsent": lambda: bench.life.unsent(session, "not sent"),
        "lost": lambda: lose(bench, session),
        "when_listening": lambda: bench.life.when_listening().addErrback(lambda _: None),
        "probe": lambda: bench.life.probe().addErrback(lambda _: None),
    }
    acts.get(event, getattr(bench.life, event))()


def lose(bench: Bench, session: FakeSession) -> None:
    """Lose a session: it is closed already when it says so."""
    bench.life.lost(session, "lost it")
    session.close()
