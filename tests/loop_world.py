"""A world for schedules: a loop, functions that do as planned, and what is expected of them."""

from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock

from tests.loop_model import CANCELLED, CHANNELS, Active, Plan, Slot
from tests.loops import Boom
from txdoorbell import WORK_REMAINING
from txdoorbell.loop import Loop
from txdoorbell.notification import Notification


class World:
    """A loop, its functions, and what is expected of it."""

    def __init__(self, timeout: float | None) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.timeout = timeout
        self.loop = Loop(self.clock, timeout=timeout)
        self.slots = [Slot() for _ in CHANNELS]
        self.functions: list[Callable[[], object]] = [
            self._function(n) for n in range(len(CHANNELS))
        ]
        self.active: Active | None = None
        self.new = True
        self.stopping = 0
        self.begun = 0
        self.jobs: list[Deferred[Any]] = []

    # -- the functions

    def _function(self, number: int) -> Callable[[], object]:
        return lambda: self._called(number)

    def _called(self, number: int) -> object:
        slot = self.slots[number]
        assert slot.present and not slot.muted, "a function is called that is removed or muted"
        now = self.clock.seconds()
        woken = slot.wake is not None and slot.wake <= now
        assert slot.explained or woken, f"nothing explains this call of {number}"
        slot.owed, slot.wake = False, None
        slot.explained = max(0, slot.explained - 1)
        plan = slot.plans.pop(0) if slot.plans else Plan()
        return self._perform(Active(number, plan, now, slot.generation))

    def _perform(self, call: Active) -> object:
        assert self.active is None, "two are active"
        assert self.loop.running, "a function is called after the stop"
        assert self.loop.suspension is None, "a function is called in a suspended loop"
        self.active = call
        self.begun += 1
        if call.plan.inside is not None and not call.plan.late:
            self.act(*call.plan.inside)
        call.returned, call.withdrawn = True, self.loop.suspension is not None
        return getattr(self, f"_{call.plan.style}")(call)

    def _now(self, call: Active) -> object:
        return self._end(call)

    def _fired(self, call: Active) -> object:
        try:
            return succeed(self._end(call))
        except Boom:
            return fail()

    def _deferred(self, call: Active) -> object:
        call.gate = Deferred(lambda _: self._over(call, CANCELLED))
        return call.gate.addCallback(lambda _: self._end(call))

    def _coroutine(self, call: Active) -> object:
        self._over(call, CANCELLED) if call.dropped else None
        return self._awaiting(call)

    async def _awaiting(self, call: Active) -> object:
        try:
            await call.gate
            if call.plan.inside is not None and call.plan.late:
                await self._late(call)
        except CancelledError:
            self._over(call, CANCELLED)
            raise
        return self._end(call)

    def _late(self, call: Active) -> Deferred[Any]:
        assert call.plan.inside is not None
        call.gate = Deferred()
        self.act(*call.plan.inside)
        return call.gate

    def _stubborn(self, call: Active) -> object:
        self._over(call, CANCELLED) if call.dropped else None
        return self._going_on(call)

    async def _going_on(self, call: Active) -> object:
        while True:
            try:
                await call.gate
                return self._end(call)
            except CancelledError:
                call.gate = Deferred()

    def _generator(self, call: Active) -> object:
        # Before its first step it is closed unnoticed.
        self._over(call, CANCELLED) if call.dropped or call.withdrawn else None
        return self._stepping(call)

    def _stepping(self, call: Active) -> Generator[object, None, object]:
        try:
            yield None
            yield call.gate
            if call.plan.inside is not None and call.plan.late:
                yield self._late(call)
        except GeneratorExit:
            self._over(call, CANCELLED)
            raise
        return self._end(call)

    def _end(self, call: Active) -> object:
        """End a call with its planned outcome: return the result, or raise."""
        plan, now = call.plan, self.clock.seconds()
        self._over(call, plan.outcome)
        if plan.outcome == "error":
            raise Boom
        results = {"more": WORK_REMAINING, "past": 0, "bad": True, "at": now + plan.seconds}
        return results.get(plan.outcome)

    # -- what must follow

    def _over(self, call: Active, outcome: str) -> None:
        if call.over:
            return
        call.over = True
        assert self.active is call
        self.active = None
        if call.slot is None or call.dropped:
            return
        slot = self.slots[call.slot]
        if slot.present and slot.generation == call.generation:
            self._follow(slot, outcome, call)

    def _follow(self, slot: Slot, outcome: str, call: Active) -> None:
        now = self.clock.seconds()
        if outcome in ("error", "bad", CANCELLED):
            if self.stopping or (outcome == CANCELLED and call.withdrawn):
                return
            slot.failures += 1
            slot.wake = now + min(5.0 * 2.0 ** (slot.failures - 1), 300.0)
            return
        slot.failures = 0
        if outcome == "more":
            slot.ring(1)
        elif outcome != "none":
            slot.wake = now + max(5.0, call.plan.seconds if outcome == "at" else 0.0)

    # -- what may happen

    def act(self, what: str, value: Any = 0) -> None:
        """Let something happen: the name of one of the methods below, and what it is told."""
        getattr(self, what)(value)

    def trigger(self, _: object) -> None:
        """Ring for everyone."""
        if self.new or self.loop.running:
            for slot in self.slots:
                slot.ring()
        self.loop.trigger()

    def notify(self, channel: str) -> None:
        """Ring by a notification; one with a payload interests the last function not."""
        name, payload = channel[0], channel[1:]
        if self.new or self.loop.running:
            for heard, slot in zip(CHANNELS, self.slots, strict=True):
                if (heard is None or name in heard) and not (payload and slot is self.slots[-1]):
                    slot.ring()
        self.loop.notified(Notification(name, payload))

    def add(self, number: int) -> None:
        """Add a function."""
        slot, choosy = self.slots[number], number == len(self.slots) - 1
        if not slot.present:
            self.slots[number] = Slot(True, generation=slot.generation + 1, plans=slot.plans)
            self.slots[number].ring(1)
        interested = nothing_said if choosy else None
        self.loop.add(self.functions[number], channels=CHANNELS[number], interested=interested)

    def remove(self, number: int) -> None:
        """Remove a function."""
        if self.slots[number].present:
            self.slots[number].present = False
            self.loop.remove(self.functions[number])

    def mute(self, number: int) -> None:
        """Mute a function."""
        if self.slots[number].present:
            self.slots[number].muted = True
            self.loop.mute(self.functions[number])

    def unmute(self, number: int) -> None:
        """Unmute a function; what it is owed it is owed."""
        slot = self.slots[number]
        if slot.present and slot.muted:
            slot.muted = False
            if slot.owed or (slot.wake is not None and slot.wake <= self.clock.seconds()):
                slot.ring(1)
            self.loop.unmute(self.functions[number])

    def plan(self, plan: tuple[int, Plan]) -> None:
        """Plan what a function does at a later call."""
        self.slots[plan[0]].plans.append(plan[1])

    def submit(self, plan: Plan) -> None:
        """Submit work."""
        self.jobs.append(self.loop.submit(lambda: self._perform(Active(None, plan, 0.0, 0))))
        self.jobs[-1].addErrback(lambda failure: None)

    def withdraw(self, _: object) -> None:
        """Cancel the work that was submitted last."""
        if self.jobs:
            self.jobs[-1].cancel()

    def fire(self, _: object) -> None:
        """Let what is waited for happen."""
        if self.active is not None and not self.active.gate.called:
            self.active.gate.callback(None)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def start(self, _: object) -> None:
        """Start the loop."""
        if not self.loop.running:
            for slot in self.slots:
                slot.ring()
        self.new = False
        self.loop.startService()

    def stop(self, _: object) -> None:
        """Stop the loop."""
        self.new = False
        self.stopping += 1
        self.loop.stopService().addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        self.stopping -= 1
        self._left_behind()
        assert not self.loop.running or self.loop.rung > self.loop.covered

    def _left_behind(self) -> None:
        if self.active is not None:
            self.active.dropped = True
        for slot in self.slots:
            slot.forget()
            if self.loop.running:
                slot.ring()

    def suspend(self, _: object) -> None:
        """Suspend the loop; what is active is cancelled."""
        if self.loop.running and self.loop.suspension is None and self.active is not None:
            self.active.withdrawn = self.active.returned
        self.loop.suspend("another host runs it")

    def resume(self, _: object) -> None:
        """Resume the loop: everyone is owed a call."""
        if self.loop.suspension is not None and self.loop.running:
            for slot in self.slots:
                slot.ring()
        self.loop.resume()

    def restart(self, _: object) -> None:
        """Stop the loop, and start it."""
        self.stop(0)
        self.start(0)

    def crash(self, _: object) -> None:
        """Crash the loop."""
        self.new = False
        if self.active is not None:
            self.active.dropped = True
        self.loop.crash()
        self._left_behind()

    def crash_and_start(self, _: object) -> None:
        """Crash the loop, and start it."""
        self.crash(0)
        self.start(0)


def nothing_said(notification: Notification) -> bool:
    """Be interested in notifications without a payload."""
    return not notification.payload
