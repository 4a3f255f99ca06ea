"""The state machine of a loop does what the table in its module says, pair by pair."""

import re
import time
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.loops import states as module
from txdoorbell.loops.policy import SLICE, Policy
from txdoorbell.loops.runner import Runner
from txdoorbell.loops.states import State
from txdoorbell.processor import Processor

POLICY = Policy("loop", 5.0, 1.0, True, 1000.0, None, 30.0)


def table() -> dict[tuple[str, State], str]:
    """Return the table as written: (event, state) -> what it says."""
    lines = [line.strip() for line in (module.__doc__ or "").splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("event \\ state"))
    states = [State[name] for name in re.split(r"\s{2,}", lines[start])[1:]]
    entries: dict[tuple[str, State], str] = {}
    for line in lines[start + 1 : lines.index("", start)]:
        event, *says = re.split(r"\s{2,}", line)
        entries.update({(event, state): what for state, what in zip(states, says, strict=True)})
    return entries


def refuse(deferred: Deferred[object]) -> None:
    """Do not cancel it."""
    raise RuntimeError("it goes on")


class Machine:
    """A runner with one function, in a state of choice, and the events that may befall it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.runner = Runner(self.clock, POLICY, None, lambda ran: None)
        self.pending: Deferred[object] | None = None
        self.inside: Callable[[], object] = lambda: None
        self.seen: list[State] = []
        self.noted: State | None = None
        self.runner.agenda.add(Processor(self.function))

    def function(self) -> object:
        """Do what the test wants done inside, and note the state after it."""
        result = self.inside()
        self.seen.append(self.runner.state)
        return result

    def wait(self) -> Deferred[object]:
        """Return what takes as long as the test likes."""
        self.pending = Deferred()
        return self.pending

    def ring(self) -> None:
        """Ring for everyone."""
        self.runner.agenda.ring()
        self.runner.ring()

    def turn(self) -> None:
        """Let the time come that it waits for."""
        self.clock.advance(60 if self.runner.state is State.QUIET else 0)

    def finish(self) -> None:
        """End what was waited for."""
        assert self.pending is not None
        self.pending.callback(None)

    def deadline(self) -> None:
        """Let the deadline of a stop come; what is active ends by its cancellation."""
        self.clock.callLater(30, self.note)
        self.clock.advance(30)

    def note(self) -> None:
        """Note the state, before the next turn."""
        self.noted = self.runner.state

    @property
    def state(self) -> State:
        """The state, or what it was when a note was taken."""
        return self.noted or self.runner.state

    def enter(self, state: State) -> None:
        """Bring the machine into a state, but CALLING."""
        getattr(self, f"enter_{state.value}")()
        assert self.runner.state is state, self.runner.state

    def enter_new(self) -> None:
        """It is new."""

    def enter_due(self) -> None:
        """It has been started."""
        self.runner.start()

    def enter_quiet(self) -> None:
        """It has run, and its function sleeps."""
        self.inside = lambda: self.clock.seconds() + 60
        self.runner.start()
        self.clock.advance(0)
        self.inside = lambda: None
        self.seen.clear()

    def enter_stopped(self) -> None:
        """It has been stopped."""
        self.runner.start()
        self.runner.stop()

    def enter_waiting(self) -> None:
        """Its function is active."""
        self.inside = self.wait
        self.runner.start()
        self.clock.advance(0)

    def enter_stopping(self) -> None:
        """It has been stopped while its function is active."""
        self.enter_waiting()
        self.runner.stop()

    def enter_restarting(self) -> None:
        """It has been stopped and started while its function is active."""
        self.enter_stopping()
        self.runner.start()

    def enter_suspended(self) -> None:
        """It has been suspended, and its function has ended."""
        self.runner.start()
        self.clock.advance(0)
        self.runner.suspend("another host runs it")

    def enter_lying_down(self) -> None:
        """It has been suspended, and its function goes on all the same."""
        self.inside = self.refusing
        self.runner.start()
        self.clock.advance(0)
        self.inside = lambda: None
        self.runner.suspend("another host runs it")

    def refusing(self) -> Deferred[object]:
        """Return what ends when the test says so, and not when it is cancelled."""
        self.pending = Deferred(refuse)
        return self.pending

    def left_behind(self) -> None:
        """It has crashed, and its function goes on."""
        self.inside = lambda: Deferred(refuse)
        self.runner.start()
        self.clock.advance(0)
        self.runner.crash()
        self.inside = lambda: None


EVENTS: dict[str, Callable[[Machine], object]] = {
    "start": lambda machine: machine.runner.start(),
    "ring": Machine.ring,
    "turn": Machine.turn,
    "finished": Machine.finish,
    "suspend": lambda machine: machine.runner.suspend("another host runs it"),
    "resume": lambda machine: machine.runner.resume(),
    "stop": lambda machine: machine.runner.stop(),
    "deadline": Machine.deadline,
    "crash": lambda machine: machine.runner.crash(),
}


def befall(machine: Machine, event: str) -> None:
    """Have an event befall a machine."""
    EVENTS[event](machine)


class TableTests(SynchronousTestCase):
    """Every pair of the table."""

    def says(self, event: str, state: State) -> State:
        """Return the state that the table promises."""
        what = table()[event, state].removesuffix(" *")
        return state if what in ("-", "(noted)") else State[what]

    def test_complete(self) -> None:
        """The table has all states and all events."""
        events = {*EVENTS, "out of work", "slice used up", "must be waited"}
        self.assertEqual(set(table()), {(event, state) for event in events for state in State})

    def test_each_pair(self) -> None:
        """Outside a call, each event leads where the table says, and leaves one timer at most."""
        for (event, state), what in table().items():
            if what == "." or state is State.CALLING or event == "turn":
                continue
            if event == "finished" and state in (State.STOPPED, State.SUSPENDED):
                continue
            with self.subTest(f"{event} in {state.name}"):
                machine = Machine()
                machine.enter(state)
                EVENTS[event](machine)
                self.assertIs(machine.state, self.says(event, state))
                self.assertLessEqual(len(machine.clock.getDelayedCalls()), 2)
                machine.runner.crash()
                self.assertEqual(machine.clock.getDelayedCalls(), [])

    def test_turn(self) -> None:
        """A turn calls the function, which sees the loop in the state that the table says."""
        for state in State:
            if table()["turn", state] != ".":
                machine = Machine()
                machine.enter(state)
                machine.turn()
                self.assertEqual(machine.seen, [self.says("turn", state)])
                machine.runner.crash()

    def test_no_turn(self) -> None:
        """Where the table knows of no turn, nothing calls the function, however long it takes."""
        for state in (State.NEW, State.STOPPED, State.WAITING, State.SUSPENDED):
            self.assertEqual(table()["turn", state], ".")
            machine = Machine()
            machine.enter(state)
            machine.seen.clear()
            machine.clock.advance(900)
            self.assertEqual((machine.seen, machine.runner.state), ([], state))
            machine.runner.crash()

    def test_inside_a_call(self) -> None:
        """Each event that may come inside a call leads where the table says."""
        for event in ("start", "ring", "suspend", "resume", "stop", "crash"):
            with self.subTest(event):
                machine = Machine()
                machine.enter(State.DUE)
                machine.inside = partial(befall, machine, event)
                machine.clock.callLater(0, machine.runner.crash)
                machine.turn()
                self.assertIs(machine.seen[0], self.says(event, State.CALLING))

    def test_end_of_a_call(self) -> None:
        """A call is the last, or its result must be waited for, or it took too long."""
        results: dict[str, Callable[[Machine], object]] = {
            "out of work": lambda machine: None,
            "slice used up": self.take_too_long,
            "must be waited": Machine.wait,
        }
        for event, result in results.items():
            with self.subTest(event):
                machine = Machine()
                machine.inside = partial(result, machine)
                machine.enter(State.DUE)
                machine.clock.callLater(0, machine.note)
                machine.turn()
                self.assertIs(machine.state, self.says(event, State.CALLING))
                machine.runner.crash()

    def take_too_long(self, machine: Machine) -> None:
        """Take up more than a slice of time."""
        end = time.monotonic() + SLICE * 1.1
        while time.monotonic() < end:
            pass

    def test_left_behind(self) -> None:
        """Where the table has a star: a start waits for what was left behind."""
        self.assertEqual(table()["start", State.STOPPED], "DUE *")
        self.assertEqual(table()["deadline", State.RESTARTING], "DUE *")
        machine = Machine()
        machine.left_behind()
        machine.runner.start()
        self.assertIs(machine.runner.state, State.WAITING)
        machine.runner.stop()
        machine.runner.start()
        self.assertIs(machine.runner.state, State.RESTARTING)
        machine.deadline()
        machine.clock.advance(0.1)
        self.assertIs(machine.runner.state, State.WAITING)
        machine.runner.crash()

    def test_left_behind_finishes(self) -> None:
        """What was left behind finishes in a stopped loop: nothing comes of it."""
        self.assertEqual(table()["finished", State.STOPPED], "-")
        machine = Machine()
        ended: Deferred[object] = Deferred(refuse)
        machine.inside = lambda: ended
        machine.runner.start()
        machine.clock.advance(0)
        machine.runner.crash()
        ended.callback(7)
        self.assertIs(machine.runner.state, State.STOPPED)
        self.assertEqual((machine.runner.active, machine.clock.getDelayedCalls()), (None, []))


class SuspendedTests(SynchronousTestCase):
    """The stars of the table that have to do with being suspended."""

    def setUp(self) -> None:
        """Have a machine, which leaves no delayed call."""
        self.machine = Machine()
        self.addCleanup(lambda: self.assertEqual(self.machine.clock.getDelayedCalls(), []))
        self.addCleanup(self.machine.runner.crash)

    def assertState(self, state: State) -> None:
        """The machine is in this state."""
        self.assertIs(self.machine.runner.state, state)

    def test_stars(self) -> None:
        """The table has a star wherever a test below looks at one."""
        starred = {pair for pair, what in table().items() if what.endswith(" *")}
        expected = {
            ("start", State.NEW),
            ("start", State.STOPPED),
            ("turn", State.QUIET),
            ("turn", State.DUE),
            ("finished", State.RESTARTING),
            ("resume", State.SUSPENDED),
            ("stop", State.SUSPENDED),
            ("deadline", State.RESTARTING),
        }
        self.assertEqual(starred, expected)

    def test_start(self) -> None:
        """A suspension is noted before the start, and after a stop: it begins suspended."""
        for prepare in (Machine.enter_new, Machine.enter_stopped):
            self.machine = Machine()
            prepare(self.machine)
            befall(self.machine, "suspend")
            befall(self.machine, "start")
            self.assertState(State.SUSPENDED)
            befall(self.machine, "resume")
            self.assertState(State.DUE)
            self.machine.runner.crash()

    def test_noted_resume(self) -> None:
        """A suspension that is over before the start is none."""
        befall(self.machine, "suspend")
        befall(self.machine, "resume")
        befall(self.machine, "start")
        self.assertState(State.DUE)

    def test_restart(self) -> None:
        """A suspension noted between a stop and a start outlasts both."""
        self.machine.enter(State.RESTARTING)
        befall(self.machine, "suspend")
        befall(self.machine, "finished")
        self.assertState(State.SUSPENDED)

    def test_restart_deadline(self) -> None:
        """The same, when the stop ends by its deadline."""
        self.machine.enter(State.RESTARTING)
        befall(self.machine, "suspend")
        befall(self.machine, "deadline")
        self.assertState(State.SUSPENDED)

    def test_may_not_call(self) -> None:
        """Whatever was due, nothing is called when it may not be: it is suspended instead."""
        for state in (State.DUE, State.QUIET):
            self.machine = Machine()
            self.machine.enter(state)
            self.machine.seen.clear()
            self.machine.runner.may_call = lambda: False
            self.machine.turn()
            self.assertEqual(self.machine.seen, [])
            self.assertState(State.SUSPENDED)
            self.machine.runner.crash()

    def test_lying_down(self) -> None:
        """What ignores its cancellation is waited for by a resume: never two at once."""
        self.machine.enter_lying_down()
        self.assertState(State.SUSPENDED)
        befall(self.machine, "resume")
        self.assertState(State.WAITING)
        self.machine.clock.advance(100)
        self.assertEqual(len(self.machine.seen), 1)
        befall(self.machine, "finished")
        self.assertState(State.DUE)
        self.machine.turn()
        self.assertEqual(len(self.machine.seen), 2)

    def test_finished(self) -> None:
        """What was cancelled ends in a suspended loop: it stays suspended, and nothing is left."""
        self.assertEqual(table()["finished", State.SUSPENDED], "-")
        self.machine.enter_lying_down()
        befall(self.machine, "finished")
        self.assertState(State.SUSPENDED)
        self.assertIsNone(self.machine.runner.active)
        self.assertEqual(self.machine.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """A stop waits for what was cancelled by the suspension, up to its deadline."""
        self.machine.enter_lying_down()
        befall(self.machine, "stop")
        self.assertState(State.STOPPING)
        self.machine.deadline()
        self.machine.clock.advance(0.1)
        self.assertState(State.STOPPED)

    def test_again_while_lying_down(self) -> None:
        """Stopped and started while it lies down, it is suspended still, and one at a time."""
        self.machine.enter_lying_down()
        befall(self.machine, "stop")
        befall(self.machine, "start")
        self.assertState(State.RESTARTING)
        befall(self.machine, "finished")
        self.assertState(State.SUSPENDED)

    def test_inside(self) -> None:
        """Suspended and resumed inside one call, the loop goes on after that call, and runs all."""

        def blink() -> None:
            befall(self.machine, "suspend")
            befall(self.machine, "resume")
            self.machine.inside = lambda: None

        self.machine.enter(State.DUE)
        self.machine.inside = blink
        self.machine.clock.callLater(0, self.machine.note)
        self.machine.turn()
        self.assertIs(self.machine.noted, State.DUE)
