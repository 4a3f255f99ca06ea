"""depeche_db's handlers on a doorbell: a real message store, the real subscription, unchanged."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extensions import parse_dsn
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.loops import LoopCase
from tests.peers import peer
from tests.servers import shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop
from txdoorbell.processor import Handler, TimeBudget


class Order:
    """A message as depeche_db wants it."""

    def __init__(self, number: int, id: UUID | None = None) -> None:  # noqa: A002 - the field's name
        self.number = number
        self.id = id or uuid4()

    def get_message_id(self) -> UUID:
        """Tell it from all others."""
        return self.id

    def get_message_time(self) -> datetime:
        """Say when it was sent."""
        return datetime.now(UTC)


class Orders:
    """A serializer of orders, and a partitioner that puts them into two rows."""

    def serialize(self, order: Order) -> dict[str, object]:
        """Make JSON of an order."""
        return {"number": order.number, "id": str(order.id)}

    def deserialize(self, fields: dict[str, Any]) -> Order:
        """Make an order of JSON."""
        return Order(fields["number"], UUID(fields["id"]))

    def get_partition(self, stored: Any) -> int:
        """Say in which row."""
        number: int = stored.message.number
        return number % 2


class ShopCase(TestCase):
    """A message store in PostgreSQL, and a doorbell that works for it."""

    timeout = 40

    def setUp(self) -> None:
        """Make a store of its own, with a stream."""
        from twisted.internet import reactor

        self.depeche: Any = peer("depeche_db")
        place = parse_dsn(shared_server().dsn)
        url = "postgresql+psycopg2://{user}@{host}:{port}/{dbname}".format(**place)
        self.engine = peer("sqlalchemy").create_engine(url)
        self.addCleanup(self.engine.dispose)
        name = f"shop{uuid4().hex[:8]}"
        self.store = self.depeche.MessageStore(name, self.engine, Orders())
        self.stream = self.store.aggregated_stream(
            name=f"{name}_orders", partitioner=Orders(), stream_wildcards=["order-%"]
        )
        self.name = name
        self.handled: list[int] = []
        self.loop = Loop(reactor, minimum_delay=0.1, budget=0.05)

    def subscription(self, handle: Callable[[Order], None], **options: Any) -> Any:
        """Return a subscription to the stream."""
        handlers = self.depeche.MessageHandlerRegister()
        handlers.register_manual(handle, Order)
        name = f"{self.name}_s{uuid4().hex[:8]}"
        return self.stream.subscription(name=name, handlers=handlers, **options)

    def handle(self, order: Order) -> None:
        """Note an order."""
        self.handled.append(order.number)

    async def bell(self, *handlers: Handler, **options: Any) -> Doorbell:
        """Return a doorbell that listens for these handlers."""
        from twisted.internet import reactor

        clock: Any = reactor
        settings = {"channels": [], "interval": 0, "loop": self.loop, **options}
        bell = Doorbell(clock, shared_server().dsn, **settings)
        for handler in handlers:
            bell.register(handler)
        self.addCleanup(bell.stopService)
        bell.startService()
        await in_time("LISTEN", bell.when_listening())
        return bell

    def write(self, *numbers: int) -> Deferred[None]:
        """Write orders, in a thread."""

        def write() -> None:
            for number in numbers:
                self.store.write(stream=f"order-{number}", message=Order(number))

        return deferToThread(write)


class SubscriptionTests(ShopCase):
    """A subscription's ``runner``, registered as it is."""

    async def test_every_message(self) -> None:
        """Every message is handled, once, in the order of its row; those from before too."""
        await self.write(*range(5))
        await self.bell(self.stream.projector, self.subscription(self.handle).runner)
        await self.write(*range(5, 40))
        await wait_for("all orders", lambda: len(self.handled) >= 40)
        self.assertEqual(sorted(self.handled), [*range(40)])
        even = [number for number in self.handled if number % 2 == 0]
        self.assertEqual(even, sorted(even))

    async def test_in_batches(self) -> None:
        """A runner that acknowledges in batches works the same."""
        batched = self.depeche.AckStrategy.BATCHED
        subscription = self.subscription(self.handle, ack_strategy=batched, batch_size=3)
        await self.bell(self.stream.projector, subscription.runner)
        await self.write(*range(10))
        await wait_for("all orders", lambda: len(self.handled) >= 10)
        self.assertEqual(sorted(self.handled), [*range(10)])

    async def test_work_remaining(self) -> None:
        """A runner whose budget is used up has another turn, until nothing remains."""
        runner = self.subscription(self.handle, batch_size=1).runner
        await self.write(*range(6))
        runs: list[object] = []
        run = runner.run

        def counted(budget: TimeBudget) -> object:
            budget.exhaust()
            runs.append(run(budget=budget))
            return runs[-1]

        runner.run = counted
        await self.bell(self.stream.projector, runner)
        await wait_for("all orders", lambda: len(self.handled) >= 6)
        await in_time("quiet", self.loop.when_quiet())
        remaining = self.depeche.RunOnNotificationResult.WORK_REMAINING
        self.assertGreaterEqual(runs.count(remaining), 6)

    async def test_one_handlers_error(self) -> None:
        """One handler's error stops no other; the failed one goes on with the same message."""
        failures = [KeyError("no stock")]

        def fails_once(order: Order) -> None:
            if failures:
                raise failures.pop()
            self.handle(order)

        others: list[int] = []
        failing = self.subscription(fails_once)
        other = self.subscription(lambda order: others.append(order.number))
        await self.bell(self.stream.projector, failing.runner, other.runner)
        await self.write(1, 3, 5)
        await wait_for("the other handler", lambda: len(others) == 3)
        await wait_for("the handler that had failed", lambda: len(self.handled) == 3)
        self.assertEqual((self.handled, others), ([1, 3, 5], [1, 3, 5]))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_stimulation(self) -> None:
        """``interval`` runs every handler, notified or not: their ``stimulation_interval``."""
        runner = self.subscription(self.handle).runner
        bell = await self.bell(self.stream.projector, runner)
        bell.mute_channels()
        await self.write(7)
        bell.interval = 0.1
        await wait_for("the order", lambda: self.handled == [7])

    async def test_stop(self) -> None:
        """``stop`` is called in a thread of its own, and a ``run`` that goes on is waited for."""
        threads: list[int] = []
        waiting, stopped = threading.Event(), threading.Event()

        class Patient:
            notification_channel = "patient"

            def interested_in_notification(self, payload: object) -> bool:
                return True

            def take_notification_hint(self, payload: object) -> None:
                pass

            def run(self, budget: TimeBudget) -> None:
                waiting.set()
                stopped.wait(10)

            def stop(self) -> None:
                threads.append(threading.get_ident())
                stopped.set()

        bell = await self.bell(Patient())
        await wait_for("the run", waiting.is_set)
        await in_time("the stop", bell.stopService())
        self.assertEqual(len(threads), 1)
        self.assertNotEqual(threads, [threading.get_ident()])

    async def test_signals(self) -> None:
        """Handlers for signals are left alone, which the real ``Executor`` replaces."""
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        await self.bell(self.subscription(self.handle).runner)
        after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        self.assertEqual(before, after)


class RealExecutorTests(ShopCase):
    """What the real executor does with the same handlers, for comparison."""

    async def test_its_fault(self) -> None:
        """One handler's error stops the real executor, for all others."""

        def fails(order: Order) -> None:
            raise KeyError("no stock")

        executor = self.depeche.Executor(shared_server().dsn, 0.1, disable_signals=True)
        executor.register(self.stream.projector)
        executor.register(self.subscription(fails).runner)
        executor.register(self.subscription(self.handle).runner)
        threading.excepthook, before = lambda _: None, threading.excepthook
        self.addCleanup(setattr, threading, "excepthook", before)
        await self.write(1)
        await in_time("the executor to end", deferToThread(executor.run))
        self.assertFalse(executor.keep_running)


class ProtocolTests(LoopCase):
    """The handler's protocol, without a database."""

    class Handler:
        """A handler that does as told, and notes what it is told."""

        notification_channel = "orders"
        blocking = False

        def __init__(self, *results: object) -> None:
            self.results = list(results)
            self.told: list[object] = []

        def interested_in_notification(self, payload: Any) -> bool:
            """Take even numbers."""
            return bool(payload["number"] % 2 == 0)

        def take_notification_hint(self, payload: Any) -> None:
            """Note the number."""
            self.told.append(payload["number"])

        def run(self, budget: TimeBudget) -> object:
            """Note it, and return what comes next."""
            self.told.append("over budget" if budget.over_budget() else "run")
            return self.results.pop(0) if self.results else None

        def stop(self) -> None:
            """Note it."""
            self.told.append("stop")

    def registered(self, *results: object) -> ProtocolTests.Handler:
        """Return a handler in a loop, which has run once."""
        self.loop = self.build()
        handler = self.loop.register(self.Handler(*results))
        self.clock.advance(0)
        return handler

    def test_results(self) -> None:
        """The real enum is recognised: work that remains is done at once, then it sleeps."""
        result = peer("depeche_db").RunOnNotificationResult
        handler = self.registered(result.WORK_REMAINING, result.WORK_REMAINING, result.DONE_FOR_NOW)
        self.assertEqual(handler.told, ["run"] * 3)
        self.clock.advance(1000)
        self.assertEqual(handler.told, ["run"] * 3)

    def test_interest_and_hint(self) -> None:
        """It is asked and told with the decoded payload, and runs when it is interested."""
        handler = self.registered()
        for number in (1, 2):
            self.ring(self.loop, "orders", f'{{"number": {number}}}')
        self.assertEqual(handler.told, ["run", 2, "run"])

    def test_other_channel(self) -> None:
        """It hears its own channel only."""
        handler = self.registered()
        self.ring(self.loop, "other", '{"number": 2}')
        self.assertEqual(handler.told, ["run"])

    def test_stop(self) -> None:
        """It is told when the loop stops."""
        handler = self.registered()
        self.successResultOf(self.loop.stopService())
        self.assertEqual(handler.told, ["run", "stop"])

    def test_register_returns_it(self) -> None:
        """``register`` returns the handler, and knows it by itself."""
        handler = self.registered()
        self.loop.remove(handler)
        self.trigger(self.loop)
        self.assertEqual(handler.told, ["run"])

    def test_what_is_no_handler(self) -> None:
        """An object that lacks a part is refused, and the part named."""
        error = self.assertRaises(TypeError, self.build().register, object())
        self.assertIn("interested_in_notification", str(error))
