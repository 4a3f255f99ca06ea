"""Loops that run their child services, and how the children of a loop live."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from tests.loops import Boom, Held, LoopCase
from txdoorbell.loop import Loop, MultiServiceLoop


class Child(Service):
    """A child service with a ``run``, which tells what is done to it."""

    def __init__(self, told: list[str], name: str) -> None:
        self.told = told
        self.label = name
        self.result: object = None

    def startService(self) -> None:
        """Tell of the start."""
        super().startService()
        self.told.append(f"{self.label} starts")

    def stopService(self) -> None:
        """Tell of the stop."""
        super().stopService()
        self.told.append(f"{self.label} stops")

    def run(self) -> object:
        """Tell of the run."""
        self.told.append(f"{self.label} runs")
        return self.result


class MultiServiceLoopTests(LoopCase):
    """A loop of the ``run`` methods of its child services."""

    def setUp(self) -> None:
        """Make a loop with two children."""
        super().setUp()
        self.told: list[str] = []
        self.loop = MultiServiceLoop(self.clock)
        self.a, self.b = self.child("a"), self.child("b")

    def child(self, name: str) -> Child:
        """Return a child service that the loop has."""
        child = Child(self.told, name)
        child.setServiceParent(self.loop)
        return child

    def assertTold(self, *told: str) -> None:
        """This has happened since the last time, in this order."""
        self.clock.advance(0)
        self.assertEqual(self.told, list(told))
        del self.told[:]

    def test_life(self) -> None:
        """Children are started, run when rung, and stopped, the last first."""
        self.started(self.loop)
        self.assertTold("a starts", "b starts", "a runs", "b runs")
        self.loop.trigger()
        self.assertTold("a runs", "b runs")
        self.loop.stopService()
        self.assertTold("b stops", "a stops")
        self.loop.startService()
        self.assertTold("a starts", "b starts", "a runs", "b runs")

    def test_added_and_removed(self) -> None:
        """A child that is added to a running loop is started and run; one removed is stopped."""
        self.started(self.loop)
        del self.told[:]
        c = self.child("c")
        self.assertTold("c starts", "c runs")
        self.a.disownServiceParent()
        self.assertTold("a stops")
        self.loop.trigger()
        self.assertTold("b runs", "c runs")
        self.assertEqual(list(self.loop.get_processors()), [self.b.run, c.run])

    def test_removed_sleeper(self) -> None:
        """A child that is removed while it sleeps is not woken."""
        self.a.result = 0
        self.started(self.loop)
        self.assertEqual(list(self.loop.wakeups), [self.a.run])
        self.a.disownServiceParent()
        self.assertEqual(dict(self.loop.wakeups), {})
        del self.told[:]
        self.clock.advance(100)
        self.assertTold()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_children_outlive_the_active(self) -> None:
        """Children are stopped when the active one has ended: it may need the others."""
        held = Held()
        self.a.result = held()
        self.started(self.loop)
        del self.told[:]
        stopping = self.loop.stopService()
        self.assertTold()
        self.assertNoResult(stopping)
        held.fire()
        self.assertTold("b stops", "a stops")
        self.successResultOf(stopping)

    def test_no_run(self) -> None:
        """A child that has no ``run`` is refused, by name."""
        with self.assertRaisesRegex(TypeError, "has no method run"):
            self.loop.addService(Service())

    def test_results(self) -> None:
        """What ``run`` returns has its usual meaning, and errors are logged with its name."""
        self.a.result = True
        self.started(self.loop)
        (failure,) = self.flush(TypeError)
        self.assertIn("Child.run returned True", str(failure.value))

    def test_restarted_while_stopping(self) -> None:
        """Started again while it stops, children that were not stopped are not started again."""
        held = Held()
        self.a.result = held()
        self.started(self.loop)
        del self.told[:]
        stopping = self.loop.stopService()
        self.loop.startService()
        self.a.result = None
        held.fire()
        self.successResultOf(stopping)
        self.assertTold("a runs", "b runs")

    def test_stopped_twice(self) -> None:
        """However often the loop is stopped, its children are stopped once."""
        held = Held()
        self.a.result = held()
        self.started(self.loop)
        del self.told[:]
        stops = [self.loop.stopService() for _ in range(3)]
        held.fire()
        stops.append(self.loop.stopService())
        for stopping in stops:
            self.successResultOf(stopping)
        self.assertTold("b stops", "a stops")

    def test_changes_while_stopping(self) -> None:
        """A child that comes while the loop stops is started and stopped with the others; one that
        goes is stopped then.
        """
        held = Held()
        self.a.result = held()
        self.started(self.loop)
        del self.told[:]
        self.loop.stopService()
        self.child("c")
        self.b.disownServiceParent()
        self.assertTold("c starts", "b stops")
        held.fire()
        self.assertTold("c stops", "a stops")

    def test_slow_to_stop(self) -> None:
        """The stop waits for children that take their time; so does a second one."""
        gone: Deferred[None] = Deferred()
        slow = SlowToStop(gone)
        slow.setServiceParent(self.loop)
        self.started(self.loop)
        stops = [self.loop.stopService(), self.loop.stopService()]
        for stopping in stops:
            self.assertNoResult(stopping)
        gone.callback(None)
        for stopping in stops:
            self.successResultOf(stopping)

    def test_fails_to_stop(self) -> None:
        """A child that fails to stop has that logged; the others are stopped all the same."""
        gone: Deferred[None] = Deferred()
        SlowToStop(gone).setServiceParent(self.loop)
        self.started(self.loop)
        stopping = self.loop.stopService()
        gone.errback(Boom())
        self.successResultOf(stopping)
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertTold("a starts", "b starts", "a runs", "b runs", "b stops", "a stops")

    def test_crash(self) -> None:
        """A crash stops the children, too."""
        self.a.result = Held()()
        self.started(self.loop)
        del self.told[:]
        self.assertEqual(self.loop.crash(), [self.a.run, self.b.run])
        self.assertTold("b stops", "a stops")

    def test_of_a_plain_loop(self) -> None:
        """A loop of added functions has child services, too; they only live with it."""
        loop = Loop(self.clock)
        child = Child(self.told, "c")
        child.setServiceParent(loop)
        self.started(loop)
        self.trigger(loop)
        loop.stopService()
        self.assertTold("c starts", "c stops")


class SlowToStop(Service):
    """A child service that takes its time to stop."""

    def __init__(self, gone: Deferred[None]) -> None:
        self._gone = gone

    def run(self) -> None:
        """Do nothing."""

    def stopService(self) -> Deferred[None]:
        """Return what the test fires."""
        super().stopService()
        return self._gone
