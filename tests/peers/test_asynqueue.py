"""A loop as a worker of asynqueue's ``TaskQueue``: the real one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.loops import Held, LoopCase
from tests.peers import peer
from txdoorbell.doorbell import Doorbell
from txdoorbell.loops.jobs import LoopStopped
from txdoorbell.testing import FakeListener
from txdoorbell.worker import LoopWorker


@implementer(IConsumer)
class Consumer:
    """Takes what it is given; ``over`` when its producer has gone."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self.over = False

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Begin to take."""

    def unregisterProducer(self) -> None:
        """Learn that nothing more comes."""
        self.over = True

    def write(self, data: Any) -> None:
        """Take an item."""
        self.items.append(data)


class WorkerCase(LoopCase):
    """A loop, a worker of it, and a task queue that has no other worker."""

    def setUp(self) -> None:
        """Hire the worker."""
        super().setUp()
        self.asynqueue = peer("asynqueue")
        self.iteration = peer("asynqueue.iteration")
        self.loop = self.build()
        self.worker = LoopWorker(self.loop)
        self.queue = self.asynqueue.TaskQueue(self.worker, returnFailure=True)
        self.called: list[object] = []

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Deferred[Any]:
        """Queue a call, and let the loop do what is due."""
        result: Deferred[Any] = self.queue.call(function, *args, **options)
        # Whatever a test leaves active is cancelled at its end.
        self.addCleanup(result.addErrback, lambda failure: None)
        self.turn()
        return result

    def turn(self) -> None:
        """Let everything happen that is due now."""
        self.clock.pump([0] * 5)

    def note(self, what: object) -> object:
        """Note that it was called with this."""
        self.called.append(what)
        return what

    def task(self, what: object, priority: float = 1.0, **options: Any) -> Any:
        """Return a task as the queue makes them, which notes that it was called."""
        new = peer("asynqueue.tasks").Task
        return new(self.note, (what,), options, priority, None)

    def occupy(self) -> Held:
        """Let another function of the loop be active, until it is fired."""
        held = Held()
        self.loop.add(held)
        self.turn()
        self.assertEqual(held.calls, 1)
        return held


class InterfaceTests(WorkerCase):
    """What asynqueue asks of a worker."""

    def test_verified(self) -> None:
        """The worker provides the interface, by zope's own check, and keeps its invariants."""
        interface = peer("asynqueue.interfaces").IWorker
        self.assertTrue(verifyObject(interface, self.worker))
        interface.validateInvariants(self.worker)

    def test_result(self) -> None:
        """A task runs in the loop with its arguments, and its result comes back."""
        result = self.call(lambda a, b=0: a + b, 1, b=2)
        self.assertEqual(self.successResultOf(result), 3)

    def test_series(self) -> None:
        """A worker gets the series of its class, of its own, and those it is qualified for."""
        worker = LoopWorker(self.loop, series=["mail"])
        self.assertEqual((worker.cQualified, worker.iQualified), (["doorbell", "local"], ["mail"]))
        self.assertEqual(self.successResultOf(self.call(self.note, 1, series="doorbell")), 1)
        waiting = self.call(self.note, 2, series="mail")
        self.assertNoResult(waiting)
        self.queue.attachWorker(worker)
        self.turn()
        self.assertEqual(self.successResultOf(waiting), 2)
        qualified = self.call(self.note, 3, series="late")
        self.queue.qualifyWorker(self.worker, "late")
        self.turn()
        self.assertEqual(self.successResultOf(qualified), 3)

    def test_own_qualifications(self) -> None:
        """Qualifying one worker qualifies no other."""
        series = ["mail"]
        first, second = LoopWorker(self.loop, series=series), LoopWorker(self.loop, series=series)
        first.iQualified.append("late")
        self.assertEqual((second.iQualified, series), (["mail"], ["mail"]))

    def test_error(self) -> None:
        """A task that fails gives asynqueue's error, which names the function; others go on."""

        def divide() -> float:
            return 1 / 0

        failed = self.call(divide)
        error = self.failureResultOf(failed, peer("asynqueue.errors").WorkerError)
        self.assertRegex(str(error.value), r"(?s)divide: division by zero\n.*Traceback")
        self.assertEqual(self.successResultOf(self.call(self.note, 1)), 1)

    def test_a_deferred(self) -> None:
        """The result of a task may be a Deferred, also of a coroutine."""

        async def double(number: Deferred[int]) -> int:
            return 2 * await number

        self.assertEqual(self.successResultOf(self.call(succeed, 1)), 1)
        self.assertEqual(self.successResultOf(self.call(double, succeed(2))), 4)

    def test_a_task_that_was_cancelled(self) -> None:
        """A task that nobody waits for any more when its turn comes is not called."""
        held = self.occupy()
        cancelled = self.call(self.note, 1)
        cancelled.cancel()
        self.failureResultOf(cancelled)
        held.fire()
        self.turn()
        self.assertEqual(self.called, [])


class OneAtATimeTests(WorkerCase):
    """Tasks keep the loop's rule, and their own order."""

    def test_it_waits_for_the_loop(self) -> None:
        """A task is not called while another function of the loop is active."""
        held = self.occupy()
        waiting = self.call(self.note, 1)
        self.assertNoResult(waiting)
        held.fire()
        self.turn()
        self.assertEqual(self.successResultOf(waiting), 1)

    def test_the_loop_waits_for_it(self) -> None:
        """No other function of the loop is called while a task is active."""
        task = Held()
        result = self.call(task)
        other = self.scripted()
        self.loop.add(other)
        self.turn()
        self.assertEqual(other.calls, 0)
        task.fire(1)
        self.turn()
        self.assertEqual((self.successResultOf(result), other.calls), (1, 1))

    def test_one_task_at_a_time(self) -> None:
        """Two tasks are never active at once, of different series either."""
        first, second = Held(), Held()
        self.call(first, series="local")
        self.call(second, series="doorbell")
        self.assertEqual((first.calls, second.calls), (1, 0))
        first.fire()
        self.turn()
        self.assertEqual(second.calls, 1)

    def test_priorities(self) -> None:
        """Of the tasks that wait, that of the highest priority is next, then the oldest."""
        held = self.occupy()
        for what, priority in (("a", 3.0), ("b", 2.0), ("c", 1.0), ("d", 2.0)):
            self.worker.run(self.task(what, priority))
            self.turn()
        held.fire()
        self.turn()
        self.assertEqual(self.called, ["c", "b", "d", "a"])

    def test_do_next(self) -> None:
        """A task with ``doNext`` goes before all others; so does one of priority -20."""
        held = self.occupy()
        self.worker.run(self.task("a", 1.0))
        self.worker.run(self.task("b", 2.0, doNext=True))
        self.worker.run(self.task("c", -20.0))
        held.fire()
        self.turn()
        self.assertEqual(self.called, ["c", "b", "a"])

    def test_do_next_through_the_queue(self) -> None:
        """The function does not see the keyword, and nicer calls wait longer."""
        held = self.occupy()
        for what, options in (
            ("active", {}),
            ("assigned", {}),
            ("last", {"doLast": True}),
            ("nice", {"niceness": 20}),
            ("plain", {}),
            ("next", {"doNext": True}),
        ):
            self.queue.call(self.note, what, **options)
        held.fire()
        for _ in range(5):
            self.turn()
        self.assertEqual(self.called, ["active", "assigned", "next", "plain", "nice", "last"])

    def test_ready(self) -> None:
        """What ``run`` returns fires when the worker may be given another task: after this one."""
        task = self.task("a")
        given: list[object] = []
        task.d.addCallback(given.append)
        ready = self.worker.run(task)
        self.assertNoResult(ready)
        self.turn()
        self.successResultOf(ready)
        self.assertEqual(given, [(b"r", "a")])


class IterationTests(WorkerCase):
    """Tasks whose result is an iterator."""

    def letters(self, text: str = "abc") -> Iterator[str]:
        """Yield letters, and note when that is over."""
        try:
            yield from text
        finally:
            self.note("closed")

    def read(self, deferator: Any) -> list[str]:
        """Read the items there are, waiting for each."""
        items = []
        for deferred in deferator:
            self.turn()
            items.append(self.successResultOf(deferred))
        return items

    def test_deferator(self) -> None:
        """An iterator comes as asynqueue's ``Deferator``, which gives its items one by one."""
        deferator = self.successResultOf(self.call(self.letters))
        self.assertIsInstance(deferator, self.iteration.Deferator)
        self.assertEqual(self.read(deferator), ["a", "b", "c"])
        self.assertEqual(self.called, ["closed"])

    def test_its_steps_keep_the_rule(self) -> None:
        """A step is not taken while another function of the loop is active."""
        deferator = self.successResultOf(self.call(self.letters))
        held = self.occupy()
        item = next(deferator)
        self.turn()
        self.assertNoResult(item)
        held.fire()
        self.turn()
        self.assertEqual(self.successResultOf(item), "a")

    def test_empty(self) -> None:
        """An empty iterator comes as an empty list."""
        self.assertEqual(self.successResultOf(self.call(self.letters, "")), [])

    def test_items_to_wait_for(self) -> None:
        """An item may be a Deferred: it is waited for."""
        deferator = self.successResultOf(self.call(lambda: map(succeed, "xy")))
        self.assertEqual(self.read(deferator), ["x", "y"])

    def test_a_list(self) -> None:
        """A list is a result like any other, and so is a function that would make a generator."""
        self.assertEqual(self.successResultOf(self.call(lambda: [1, 2])), [1, 2])
        self.assertIs(self.successResultOf(self.call(lambda: _generate)), _generate)

    def test_error_at_once(self) -> None:
        """An iterator that fails before its first item is a task that fails."""
        self.failureResultOf(self.call(_fail_after, 0), peer("asynqueue.errors").WorkerError)

    def test_error_in_the_midst(self) -> None:
        """What an iterator gave before its error is given; the error is not taken for the end."""
        deferator = self.successResultOf(self.call(_fail_after, 2))
        items = [next(deferator), next(self.turned(deferator))]
        self.turn()
        self.assertEqual([self.successResultOf(item) for item in items], [0, 1])
        self.failureResultOf(next(deferator), IndexError)
        self.assertEqual(list(deferator), [])

    def turned(self, deferator: Any) -> Any:
        """Let the loop have its turn before the next item is asked for."""
        self.turn()
        return deferator

    def test_not_read_to_its_end(self) -> None:
        """A reader that stops has the generator closed, in the loop."""
        deferator = self.successResultOf(self.call(self.letters))
        held = self.occupy()
        deferator.stop()
        self.turn()
        self.assertEqual(self.called, [])
        held.fire()
        self.turn()
        self.assertEqual(self.called, ["closed"])

    def test_raw(self) -> None:
        """With ``raw`` the iterator comes as it is; what the task says comes first."""
        raw = self.successResultOf(self.call(self.letters, raw=True))
        self.assertEqual(list(raw), ["a", "b", "c"])
        worker = LoopWorker(self.loop, raw=True, series=["raw"])
        self.queue.attachWorker(worker)
        raw = self.successResultOf(self.call(self.letters, series="raw"))
        self.assertEqual(list(raw), ["a", "b", "c"])
        deferator = self.successResultOf(self.call(self.letters, series="raw", raw=False))
        self.assertEqual(self.read(deferator), ["a", "b", "c"])

    def test_consumer(self) -> None:
        """With a consumer the items are written to it, and it is the result."""
        consumer = Consumer()
        result = self.call(self.letters, consumer=consumer)
        for _ in range(3):
            self.turn()
        self.assertIs(self.successResultOf(result), consumer)
        self.assertEqual((consumer.items, consumer.over), (["a", "b", "c"], True))

    def test_consumer_of_nothing(self) -> None:
        """A consumer is told that it is over when the iterator is empty."""
        consumer = Consumer()
        self.assertIs(
            self.successResultOf(self.call(self.letters, "", consumer=consumer)), consumer
        )
        self.assertEqual((consumer.items, consumer.over), ([], True))

    def test_consumer_and_error(self) -> None:
        """An iterator that fails leaves its consumer without a producer; the task fails."""
        consumer = Consumer()
        result = self.call(_fail_after, 2, consumer=consumer)
        for _ in range(3):
            self.turn()
        self.failureResultOf(result, IndexError)
        self.assertEqual((consumer.items, consumer.over), ([0, 1], True))

    def test_no_consumer(self) -> None:
        """A consumer that is none fails the task."""
        result = self.call(self.letters, consumer=object())
        self.failureResultOf(result, peer("asynqueue.errors").WorkerError)


class EndTests(WorkerCase):
    """Stopping, crashing and resigning."""

    def test_stop(self) -> None:
        """``stop`` fires after all results, iterators included."""
        task = Held()
        self.call(task)
        waiting = self.call(lambda: iter("ab"))
        stopped = self.worker.stop()
        task.fire()
        self.turn()
        deferator = self.successResultOf(waiting)
        self.assertNoResult(stopped)
        for deferred in deferator:
            self.turn()
            self.successResultOf(deferred)
        self.assertEqual(self.successResultOf(stopped), [])

    def test_stop_when_idle(self) -> None:
        """With nothing to do, ``stop`` has fired."""
        self.assertEqual(self.successResultOf(self.worker.stop()), [])

    def test_shutdown_of_the_queue(self) -> None:
        """The queue shuts down when its tasks have their results, and asks for no more."""
        task = Held()
        result = self.call(task)
        shutdown = self.queue.shutdown()
        self.assertNoResult(shutdown)
        task.fire(1)
        self.turn()
        self.successResultOf(shutdown)
        self.assertEqual(self.successResultOf(result), 1)

    def test_crash(self) -> None:
        """``crash`` returns the tasks left, the active one first; it is cancelled."""
        cancelled: list[Deferred[Any]] = []
        active = peer("asynqueue.tasks").Task(Held(cancelled.append), (), {}, 1.0, None)
        self.worker.run(active)
        self.turn()
        later, sooner = self.task("later", 3.0), self.task("sooner", 2.0)
        self.worker.run(later)
        self.worker.run(sooner)
        left = self.worker.crash()
        self.turn()
        self.assertEqual([id(task) for task in left], [id(active), id(sooner), id(later)])
        self.assertEqual((len(cancelled), self.called), (1, []))
        self.assertEqual([task.d.called for task in left], [False] * 3)

    def test_crash_while_stopping(self) -> None:
        """Who waits for ``stop`` is told what ``crash`` left, as a queue's timeout wants it."""
        task = self.task("a")
        self.worker.run(task)
        stopped = self.worker.stop()
        left = self.worker.crash()
        self.assertEqual(self.successResultOf(stopped), left)

    def test_reassigned(self) -> None:
        """Tasks that a crashed worker left run with another one, keywords and all."""
        held = self.occupy()
        consumer = Consumer()
        result = self.queue.call(lambda: iter("ab"), consumer=consumer)
        other = self.build()
        self.queue.attachWorker(LoopWorker(other))
        self.queue.detachWorker(self.worker, reassign=True, crash=True)
        for _ in range(3):
            self.turn()
        self.assertIs(self.successResultOf(result), consumer)
        held.fire()

    def test_dismissed(self) -> None:
        """A worker that was detached with a task in hand is given no further one."""
        task = Held()
        self.call(task)
        self.queue.detachWorker(self.worker)
        task.fire()
        self.turn()
        waiting = self.call(self.note, 1)
        self.assertNoResult(waiting)
        self.queue.attachWorker(self.worker)
        self.turn()
        self.assertEqual(self.successResultOf(waiting), 1)

    def test_the_loop_stops(self) -> None:
        """When the loop stops, its worker resigns, and the tasks left go to others."""
        held = self.occupy()
        waiting = self.call(self.note, 1)
        self.loop.stopService()
        self.assertEqual(self.queue.workers(), [])
        self.queue.attachWorker(LoopWorker(self.build()))
        self.turn()
        self.assertEqual(self.successResultOf(waiting), 1)
        held.fire()

    def test_a_task_for_a_stopped_loop(self) -> None:
        """A worker whose loop has stopped resigns at its next task."""
        self.loop.stopService()
        self.assertNoResult(self.call(self.note, 1))
        self.assertEqual(self.queue.workers(), [])

    def test_without_a_queue(self) -> None:
        """Without a queue the tasks wait for the loop to be started again."""
        worker = LoopWorker(self.loop)
        self.loop.stopService()
        worker.run(self.task("a"))
        self.loop.startService()
        worker.run(self.task("b", 2.0))
        self.turn()
        self.assertEqual(self.called, ["a", "b"])

    def test_iterating_a_stopped_loop(self) -> None:
        """Who reads on when the loop has stopped is given what was fetched, then the reason."""
        deferator = self.successResultOf(self.call(lambda: iter("abc")))
        self.loop.stopService()
        self.assertEqual(self.successResultOf(next(deferator)), "a")
        self.failureResultOf(next(deferator), LoopStopped)

    def test_a_broken_resignator(self) -> None:
        """An error of a resignator goes to ``log.err``, and the others are told all the same."""
        worker = LoopWorker(self.loop)
        worker.setResignator(lambda: 1 / 0)
        worker.setResignator(lambda: self.note("resigned"))
        worker.resign()
        worker.resign()
        self.assertEqual(self.called, ["resigned"])
        self.assertEqual(len(self.flush(ZeroDivisionError)), 1)


class ServiceTests(WorkerCase):
    """The worker of a doorbell's loop."""

    def test_the_service_resigns(self) -> None:
        """When the service gives up for good, its worker resigns: the queue lets it go."""
        listener = FakeListener(self.clock)
        bell = Doorbell(self.clock, listener=listener, give_up_after=10, interval=0)
        worker = LoopWorker(bell.loop)
        self.queue.attachWorker(worker)
        bell.startService()
        self.turn()
        self.assertIn(worker, self.queue.workers())
        listener.lose()
        self.turn()
        self.clock.advance(10)
        self.turn()
        self.assertEqual(self.queue.workers(), [self.worker])


class ImportTests(SynchronousTestCase):
    """What it takes to import the module."""

    def python(self, program: str) -> str:
        """Run a program in a Python of its own, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout + done.stderr

    def test_lazily(self) -> None:
        """Importing it imports neither asynqueue nor the reactor."""
        program = "import sys, txdoorbell.worker; print('asynqueue' in sys.modules, end=' '); "
        program += "print('twisted.internet.reactor' in sys.modules)"
        self.assertEqual(self.python(program), "False False\n")

    def test_missing(self) -> None:
        """Without asynqueue the error says what to install."""
        program = "import sys; sys.modules['asynqueue'] = None\n"
        program += "from txdoorbell.worker import LoopWorker; LoopWorker(None)"
        self.assertIn("pip install 'txdoorbell[asynqueue]'", self.python(program))


def _generate() -> Iterator[int]:
    yield 1


def _fail_after(number: int) -> Iterator[int]:
    yield from range(number)
    raise IndexError(number)
