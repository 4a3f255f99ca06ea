"""The process of a soak that runs the server and the proxy, makes the faults, and judges."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from psycopg2.extensions import parse_dsn
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread

import tests
from tests.poolers import PgBouncer
from tests.proxy import Proxy
from tests.servers import QUICK, execute
from tests.soak.faults import FAULTS, POOLER_RESTARTED, Fault, FoundBy, Site
from tests.soak.health import Health
from tests.soak.record import (
    CHANNELS,
    FLICKERING,
    Ring,
    StateReader,
    read_events,
    read_rings,
)
from tests.soak.verdict import TOLERANCE, Trouble, Verdict
from tests.waiting import wait_for
from txdoorbell.embedded import PostgresServer

HASTY = {
    "connect_timeout": 2.0,
    "query_timeout": 2.0,
    "heartbeat": 2.0,
    "heartbeat_timeout": 1.0,
    "probe_interval": 3.0,
    "probe_timeout": 1.0,
    "backoff": 1.0,
}
"""The listener's options, with the most seconds between two attempts: many faults a minute."""

USUAL = {
    "connect_timeout": 10.0,
    "query_timeout": 5.0,
    "heartbeat": 10.0,
    "heartbeat_timeout": 5.0,
    "probe_interval": 60.0,
    "probe_timeout": 5.0,
    "backoff": 30.0,
}
"""The defaults: few faults a minute, since each is given the time that it may take."""

SHOWN = 20
"""How many rings that were missed are shown one by one."""

_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


class Soak:
    """
    A soak, from the start of the server to the verdict.

    :param reactor: the real one.
    :param folder: for all files.
    :param options: the doorbell's: :data:`HASTY` or :data:`USUAL`.
    :param rate: rings per second.
    :param seed: of the choice of faults and of their times.
    :param faults: those to choose from.
    :param pooled: whether a pooler in session mode stands in front of the server.
    """

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        options: dict[str, float],
        rate: float,
        seed: int,
        faults: Sequence[Fault] = FAULTS,
        pooled: bool = False,
    ) -> None:
        self._reactor = reactor
        self._faults = [f for f in faults if pooled or f.name != POOLER_RESTARTED]
        self._pooled = pooled
        self._folder = folder
        self._options = options
        self._rate = rate
        self._random = random.Random(seed)
        self._cleanups: list[Callable[[], object]] = []
        self._troubles: list[Trouble] = []
        self._rings = folder / "rings"
        self._events = folder / "events"
        self._state = StateReader(self._events)

    def addCleanup(self, cleanup: Callable[..., object], *args: object, **named: object) -> None:
        """Have a function called at the end, the last one first; as a test case does."""
        self._cleanups.append(lambda: cleanup(*args, **named))

    async def run(self, minutes: float, say: Callable[[str], None]) -> bool:
        """
        Run, and say how it went.

        :param minutes: for which faults are made; it takes a little longer.
        :returns: whether all was well.
        """
        self._reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(self._clean_up())
        )
        try:
            site, twistd, ringer = await self._set_up()
            health = Health(twistd.pid)
            LoopingCall(health.look).start(2.0)
            await self._make_faults(site, monotonic() + 60 * minutes)
            ringer.kill()
            await self._settled()
            status = await self._ends(twistd)
            return await self._judge(site, health, status, say)
        finally:
            await self._clean_up()

    async def _clean_up(self) -> None:
        while self._cleanups:
            await maybeDeferred(self._cleanups.pop())

    async def _set_up(self) -> tuple[Site, subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        server = PostgresServer(self._folder / "data", tcp=True, settings=QUICK)
        self.addCleanup(deferToThread, server.stop, "immediate")
        await deferToThread(server.start)
        direct = f"{server.dsn} dbname=soak"
        await deferToThread(execute, server.dsn, "create database soak")
        await deferToThread(execute, direct, "create table ring (number bigint primary key)")
        case: Any = self  # proxy and pooler ask it for cleanups only
        pooler = PgBouncer(case, direct, server_login_retry=1) if self._pooled else None
        entrance = parse_dsn(pooler.dsn if pooler is not None else direct)
        proxy = Proxy(case, (entrance["host"], int(entrance["port"])))
        twistd = self._spawn(
            ["-c", _TWISTD, "-n", "--pidfile=", "-y", str(Path(__file__).with_name("soak.tac"))],
            SOAK_DSN=f"{direct} port={proxy.port} sslmode=disable",
            SOAK_RECORD=str(self._events),
            SOAK_OPTIONS=json.dumps(self._options),
        )
        await wait_for("the doorbell to listen", lambda: self._state.latest() == "listening", 30.0)
        arguments = [direct, str(self._rings), str(self._rate)]
        ringer = self._spawn(["-m", "tests.soak.ringer", *arguments])
        return Site(server, proxy, server.dsn, twistd.pid, pooler), twistd, ringer

    def _spawn(self, arguments: list[str], **environ: str) -> subprocess.Popen[bytes]:
        root = str(Path(tests.__file__).resolve().parent.parent)
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": root, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    async def _make_faults(self, site: Site, end: float) -> None:
        await self._pass(3.0)
        well = True
        for fault in self._endless():
            if monotonic() > end:
                return
            changes = self._changes()
            # Now and then the next one comes while this one is still being coped with.
            patient = self._random.random() < 0.8
            await self._make(fault, site, alone=well and patient)
            well = patient
            if patient:
                await self._pass(0.2)
                await self._found(fault, changes)
                await wait_for("health", lambda: self._state.latest() == "listening", 120.0)
                await self._pass(self._random.uniform(0.5, 4.0))
            else:
                await self._pass(self._random.uniform(0.0, 0.5))

    def _endless(self) -> Iterator[Fault]:
        """Generate all kinds of faults in random order, again and again."""
        while True:
            yield from self._random.sample(self._faults, len(self._faults))

    def _changes(self) -> int:
        self._state.latest()
        return self._state.changes

    async def _found(self, fault: Fault, changes: int) -> None:
        """Wait until a silent fault has been found out, if it is: a short one may pass unseen."""
        end = monotonic() + self._finding(fault)
        while fault.found_by is not None and self._changes() == changes and monotonic() < end:
            await self._pass(0.1)

    async def _make(self, fault: Fault, site: Site, *, alone: bool) -> None:
        injected = monotonic()
        await fault.inject(site)
        if fault.lift is not None:
            await self._pass(self._random.uniform(*fault.hold))
            await fault.lift(site)
        lifted = monotonic() if fault.lift is not None else injected
        self._troubles.append(Trouble(fault.name, injected, lifted, self._bound(fault), alone))

    def _finding(self, fault: Fault) -> float:
        """Return how many seconds it may take to find a fault out; 0 for one that is told of."""
        timing = self._options
        if fault.found_by is FoundBy.PROBE:
            return timing["probe_interval"] + 3 * timing["probe_timeout"]
        if fault.found_by is FoundBy.HEARTBEAT:
            # A heartbeat waits for a probe that is under way.
            waiting = timing["heartbeat"] * 1.1 + 2 * timing["probe_timeout"]
            return waiting + timing["heartbeat_timeout"]
        return 0.0

    def _bound(self, fault: Fault) -> float:
        """Return in how many seconds after the end of a fault all is promised to be well."""
        timing = self._options
        back = timing["connect_timeout"] + timing["query_timeout"] + timing["backoff"]
        # The pooler itself tries again each second.
        return self._finding(fault) + back + (2.0 if self._pooled else 0.0)

    async def _settled(self) -> None:
        bound = max(map(self._bound, self._faults))
        await self._pass(bound + TOLERANCE)

    async def _pass(self, seconds: float) -> None:
        await deferLater(self._reactor, seconds)

    async def _ends(self, twistd: subprocess.Popen[bytes]) -> int:
        twistd.send_signal(signal.SIGTERM)
        await wait_for("twistd to end", lambda: twistd.poll() is not None, 10.0)
        return twistd.returncode

    async def _judge(
        self, site: Site, health: Health, status: int, say: Callable[[str], None]
    ) -> bool:
        rings = await self._committed(site)
        verdict = Verdict(rings, read_events(self._events), self._troubles)
        (self._folder / "faults").write_text("".join(f"{t}\n" for t in self._troubles))
        for covered in [*verdict.missed[:SHOWN], *verdict.unproven[:SHOWN]]:
            say(f"{'unproven' if covered.unproven else 'MISSED'}: {covered}")
        states = Counter(e.what for e in read_events(self._events) if e.kind == "state")
        errors = self._errors()
        lines = [
            *verdict.table(),
            "",
            f"faults          {len(self._troubles)}",
            f"rings sent      {len(rings)}, on {len(CHANNELS) + len(FLICKERING)} channels",
            f"covered         {sum(covered.began is not None for covered in verdict.covered)},"
            f" of which {verdict.unheard} without having been heard",
            f"missed          {len(verdict.missed)}",
            f"unproven        {len(verdict.unproven)}",
            f"states          {', '.join(f'{n} times {s}' for s, n in sorted(states.items()))}",
            *health.lines(),
            f"errors logged   {len(errors)}",
            f"exit status     {status}",
        ]
        complaints = [*health.leaks, *errors]
        if verdict.missed:
            complaints.append(f"{len(verdict.missed)} rings were missed")
        # twistd ends itself by the signal that it was sent, once everything has stopped.
        if status not in (0, -signal.SIGTERM):
            complaints.append(f"twistd ended with status {status}")
        for line in [*lines, "", "VERDICT: " + ("; ".join(complaints) or "all is well")]:
            say(line)
        return not complaints

    async def _committed(self, site: Site) -> list[Ring]:
        rows = await deferToThread(
            execute, f"{site.server.dsn} dbname=soak", "select number from ring"
        )
        numbers = {number for (number,) in rows}
        return [ring for ring in read_rings(self._rings) if ring.number in numbers]

    def _errors(self) -> list[str]:
        log = (self._folder / "log").read_text(errors="replace").splitlines()
        return [line for line in log if "Unhandled" in line or "Traceback" in line]
