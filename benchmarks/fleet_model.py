"""
A fleet and its server on a virtual clock.

The hosts' decisions are those of :class:`txdoorbell.fleet.policy.Placement`, which the service asks
too; what is modelled here is the rest: who hears what, when the server frees a lock, how long a
message takes. Events are kept in a heap, and nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random

from benchmarks.fleet_state import Free, Host, Size, Tally
from txdoorbell.fleet.policy import FIRST, GROWTH, Placement, weight
from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.listening.holders import AGE, HASTE
from txdoorbell.listening.locktiming import LockTiming
from txdoorbell.listening.standing import MOST

Wait = Callable[[str, int], float]
"""A head start, by loop and number of loops held."""

LATENCY = (0.001, 0.005)
"""Seconds from a NOTIFY's commit until a host has heard it: at least, at most."""

BUSY = 0.01
"""Seconds after a statement for which its session's process is still warm."""

SLOT = 0.1
"""Seconds over which a peak is taken."""


class Fleet:
    """
    All hosts and the server.

    :param seed: the same seed gives the same course of events.
    """

    def __init__(self, size: Size, seed: int = 1) -> None:
        self.size = size
        self.random = Random(seed)
        self.now = 0.0
        self.tally = Tally()
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        names = [f"loop{number}" for number in range(size.loops)]
        self.free = {name: Free(0.0, 0.0) for name in names}
        self._liking, likes = _liking(size.hosts, size.loops, size.told)
        self.hosts = [Host(self._placement(number), likes[number]) for number in range(size.hosts)]

    def _placement(self, number: int) -> Placement:
        size = self.size
        name, chance = f"host{number}", self.random.random
        return Placement(name, size.lock_interval, size.max_loops, size.told, chance)

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Do something later."""
        heappush(self._events, (when, next(self._order), do))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, do = heappop(self._events)
            do()
        self.now = until

    def join(self, number: int) -> None:
        """Let a host have a session; one that has one already goes on."""
        host = self.hosts[number]
        if host.up:
            return
        host.session, host.up, host.planned = host.session + 1, True, set()
        host.looked = host.due = -inf
        host.reserved = self.now + FIRST * host.placement.longest_wait
        self.at(self.now + host.placement.until_first_round(), self._round(host))
        for loop in host.likes:
            self._plan(host, loop, self.now, host.placement.first_wait)

    def _round(self, host: Host) -> Callable[[], None]:
        session = host.session

        def tries() -> None:
            if host.session == session:
                self._try_in_turn(host)
                self.at(self.now + host.placement.until_next_round(), tries)

        return tries

    def _try_in_turn(self, host: Host, at_once: int = 1) -> None:
        """Try for each; locks that others hold are only counted, since nothing comes of it."""
        if not host.placement.has_room(len(host.held)):
            self._note(host, 0)
            if self.size.loops <= MOST:
                self._look_up(host)
            return
        self._look_up(host)
        share = len(host.likes) / self.size.loops
        others = self.size.loops - len(host.likes)
        self._note(host, max(0, len(host.likes) + round(share * others) - len(host.held)))
        wanted = [loop for loop in self.free if self._is_open(loop, host)]
        ranked = sorted(wanted, key=lambda loop: -weight(host.placement.host, loop))
        for loop in ranked[:at_once]:
            if host.placement.has_room(len(host.held)):
                self._take(host, loop)
        if len(ranked) > at_once:
            self._go_on(host, at_once * GROWTH)

    def _go_on(self, host: Host, at_once: int) -> None:
        """Let one more round follow, which takes more."""
        session = host.session

        def go_on() -> None:
            if host.session == session:
                self._try_in_turn(host, at_once)

        self.at(self.now + host.placement.head_start, go_on)

    def _is_open(self, loop: str, host: Host) -> bool:
        if loop in host.planned:
            return False
        if host.placement.prefers(loop):
            return True
        reserved = max(host.reserved, self.free[loop].rung + host.placement.longest_wait)
        return self.now >= reserved and host.placement.tries(loop)

    def _plan(self, host: Host, loop: str, since: float, wait: Wait) -> None:
        """Let a host try once its head start has passed, counted from ``since``."""
        session = host.session
        host.planned.add(loop)

        def tries() -> None:
            if host.session != session or loop not in host.planned:
                return
            when = since + wait(loop, len(host.held))
            if host.placement.has_room(len(host.held)) and when > self.now:
                self.at(when, tries)
                return
            host.planned.discard(loop)
            if host.placement.has_room(len(host.held)) and loop not in host.held:
                self._note(host, 1)
                if loop in self.free:
                    self._take(host, loop)
                else:
                    self._doubt(host)
                    self._look_up(host)

        self.at(since + wait(loop, len(host.held)), tries)

    def _note(self, host: Host, tries: int) -> None:
        """Count the tries of one statement; without any it is a heartbeat."""
        slot = int(self.now / SLOT)
        self.tally.tries[slot] += tries
        self.tally.statements[slot] += 1
        self.tally.wakes += self.now - host.spoke >= BUSY
        host.spoke = self.now

    def _doubt(self, host: Host) -> None:
        """Let a host know that a lock has changed hands."""
        host.due = min(host.due, host.looked + HASTE * self.size.lock_interval)

    def _look_up(self, host: Host) -> None:
        if self.now >= host.due:
            self.tally.lookups += 1
            host.looked = self.now
            age = AGE * self.size.lock_interval
            host.due = self.now + age * (1.0 - 0.2 * self.random.random())

    def _take(self, host: Host, loop: str) -> None:
        free = self.free.pop(loop)
        self.tally.gaps.append(self.now - free.since)
        self.tally.doubles += free.fenced > self.now
        host.held.add(loop)
        self._doubt(host)

    def kill(self, number: int) -> None:
        """``kill -9``: the server sees the connection close, and nobody is told."""
        self._end(self.hosts[number])
        self._lose(self.hosts[number], Free(self.now, self.now))

    def stop(self, number: int) -> None:
        """Stop in order: functions first, then locks, then a ring for each."""
        self._end(self.hosts[number])
        for loop in self._lose(self.hosts[number], Free(self.now, self.now, self.now)):
            for other in self._liking[loop]:
                host = self.hosts[other]
                if host.up:
                    heard = self.now + self.random.uniform(*LATENCY)
                    self._plan(host, loop, heard, host.placement.wait)

    def cut_off(self, number: int) -> None:
        """Let nothing through any more, or freeze the process: the server finds out by silence."""
        host, since = self.hosts[number], self.now
        timing = LockTiming(self.size.lock_interval)
        fenced = host.spoke + timing.lease
        self._end(host)
        self.at(host.spoke + timing.timeout, partial(self._lose, host, Free(since, fenced)))

    def restart(self, outage: float) -> None:
        """Restart the server: all hosts come back as the listener's backoff lets them."""
        backoff = backoff_policy(jitter=self.random.random)
        for number, host in enumerate(self.hosts):
            self._end(host)
            self._lose(host, Free(self.now, self.now))
            after, attempts = 0.0, count(1)
            while after < outage:
                after += backoff(next(attempts))
            self.at(self.now + after, partial(self.join, number))

    def _end(self, host: Host) -> None:
        host.session, host.up = host.session + 1, False

    def _lose(self, host: Host, free: Free) -> set[str]:
        lost, host.held = host.held, set()
        self.free.update(dict.fromkeys(lost, free))
        return lost


@cache
def _liking(
    hosts: int, loops: int, told: int | None
) -> tuple[dict[str, list[int]], list[list[str]]]:
    """Return which hosts prefer each loop, and which loops each host prefers."""
    names = [f"loop{number}" for number in range(loops)]
    placements = [Placement(f"host{number}", hosts=told) for number in range(hosts)]
    likes = [[name for name in names if one.prefers(name)] for one in placements]
    liking: dict[str, list[int]] = {name: [] for name in names}
    for number, liked in enumerate(likes):
        for name in liked:
            liking[name].append(number)
    return liking, likes
