"""A fleet: how long loops are without a holder, and what their locks cost the server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import standbys
from benchmarks.bench import QUICK_SERVER, Bench, server
from benchmarks.figures import median, percentile, written
from benchmarks.fleet_model import SLOT, Fleet
from benchmarks.fleet_state import Size, Tally
from benchmarks.outcome import Outcome, Table, Target
from txdoorbell.listening.holders import AGE

SIZES = (
    Size(2, 5),
    Size(8, 5),
    Size(50, 200),
    Size(100, 1_000),
    Size(100, 1_000, max_loops=20),
    Size(100, 1_000, max_loops=20, told=100),
    Size(1_000, 10_000, told=1_000),
    Size(1_000, 10_000, max_loops=20, told=1_000),
    Size(1_000, 10_000, max_loops=12, told=1_000),
    Size(1_000, 10_000, told=2_000),
)

QUICK = (Size(8, 5), Size(50, 200))
"""For a first look."""

OUTAGE = 1.0
"""Seconds of a server's restart."""

BACK = 5.0
"""Seconds until a host that went away is back."""

SMALL, PAUSE = 50, 10.0
"""In a fleet of fewer hosts, what happens to them happens so many seconds apart."""

AFTER_ALL = 30.0
"""Seconds that are looked at where silence is the only sign."""

STANDBYS, LOCKS, INTERVAL = 50, 5, 2.0
"""Of the real server's measure."""

BATCHES, LISTENERS, LOOKUPS = (1, 10, 100, 320), (10, 50, 200), (5, 1_000)


def steady(fleet: Fleet) -> float:
    """Let nothing happen."""
    return 30.0


def restarted(fleet: Fleet) -> float:
    """Restart the server."""
    fleet.restart(OUTAGE)
    return 20.0


def killed(fleet: Fleet) -> float:
    """Kill hosts that hold a loop, one at a time; each comes back."""
    return _one_by_one(fleet, fleet.kill)


def stopped(fleet: Fleet) -> float:
    """Stop hosts that hold a loop, one at a time, in order; each comes back."""
    return _one_by_one(fleet, fleet.stop)


def rack(fleet: Fleet) -> float:
    """Kill a tenth of the hosts, or one, at once; they come back."""
    _end_some(fleet, fleet.kill, len(fleet.hosts) // 10, BACK)
    return 20.0


def silent(fleet: Fleet) -> float:
    """Freeze or cut off a fiftieth of the hosts, or one; they come back."""
    _end_some(fleet, fleet.cut_off, len(fleet.hosts) // 50, AFTER_ALL - 10.0)
    return AFTER_ALL


def rolled(fleet: Fleet) -> float:
    """Restart all hosts in order, one after the other."""
    now, step = fleet.now, _apart(fleet, 0.5)
    for number in range(len(fleet.hosts)):
        fleet.at(now + number * step, partial(fleet.stop, number))
        fleet.at(now + number * step + 2.0, partial(fleet.join, number))
    return len(fleet.hosts) * step + 10.0


def _apart(fleet: Fleet, seconds: float) -> float:
    return PAUSE if len(fleet.hosts) < SMALL else seconds


def _one_by_one(fleet: Fleet, end: Callable[[int], None], times: int = 60) -> float:
    apart = _apart(fleet, 1.0)
    for number in range(times):
        fleet.at(fleet.now + number * apart, partial(_end_some, fleet, end, 1, BACK))
    return times * apart + BACK + 5.0


def _end_some(fleet: Fleet, end: Callable[[int], None], number: int, back: float) -> None:
    """End so many hosts that hold something, at least one; let them come back."""
    holders = [number for number, host in enumerate(fleet.hosts) if host.held]
    for host in fleet.random.sample(holders, min(len(holders), max(1, number))):
        end(host)
        fleet.at(fleet.now + back, partial(fleet.join, host))


COURSE: dict[str, Callable[[Fleet], float]] = {
    "the server is restarted in 1 s": restarted,
    "nothing happens": steady,
    "hosts are killed, one at a time": killed,
    "a tenth of the hosts is killed at once": rack,
    "hosts are frozen or cut off": silent,
    "hosts are stopped in order, one at a time": stopped,
    "all hosts are restarted, one after the other": rolled,
}
"""One after the other, each in what the one before has left. Each begins something and says how
many seconds it takes."""

HEAD = [
    "",
    "s without a holder, median",
    "p99",
    "worst",
    "statements/s",
    "peak",
    "tries/s",
    "CPU of the server, % of a core",
    "loops of a host, least / median / most",
]

Figures = dict[str, Any]
"""What one event of a fleet's course came to."""


def measure(bench: Bench) -> Outcome:
    """Run each fleet's course on a virtual clock; then ask a real server."""
    sizes = SIZES if bench.sizes.rounds > 1 else QUICK
    raw = {_title(size): course(size) for size in sizes}
    real = ask(bench.sizes.idle / 2)
    tables = [_table(title, figures, real) for title, figures in raw.items()]
    targets = [*_targets(raw), Target("50 standbys, % of a core", 100 * real["standbys"], 1.0)]
    return Outcome("fleet", [*tables, _costs(real)], targets, {"fleets": raw, "server": real})


def course(size: Size) -> dict[str, Figures]:
    """Let a fleet live through everything."""
    fleet, figures = Fleet(size), {}
    for title, begin in COURSE.items():
        fleet.tally, start = Tally(), fleet.now
        seconds = begin(fleet)
        fleet.run(start + seconds)
        figures[title] = _figures(fleet, seconds)
    return figures


def _figures(fleet: Fleet, seconds: float) -> Figures:
    tally = fleet.tally
    held = sorted(len(host.held) for host in fleet.hosts)
    return {
        "gaps": [percentile(tally.gaps, n / 100) for n in range(101)] if tally.gaps else [],
        "taken": len(tally.gaps),
        "statements": sum(tally.statements.values()) / seconds,
        "peak": max(tally.statements.values(), default=0) / SLOT,
        "tries": sum(tally.tries.values()) / seconds,
        "wakes": tally.wakes / seconds,
        "lookups": tally.lookups / seconds,
        "loops": fleet.size.loops,
        "held": [held[0], median(held), held[-1]],
        "free": len(fleet.free),
        "doubles": tally.doubles,
    }


def ask(seconds: float) -> dict[str, Any]:
    """Take what a real server's processes need, in shares of a core and in seconds."""
    with server({**QUICK_SERVER, "max_connections": "300"}) as private:
        dsn = private.dsn
        share, each = standbys.standing_by(dsn, STANDBYS, LOCKS, seconds, INTERVAL)
        figures = {
            "standbys": share,
            "round": each,
            "batches": {str(n): t for n, t in standbys.batches(dsn, BATCHES, 9, 200).items()},
            "lookups": {str(n): t for n, t in standbys.lookups(dsn, LOOKUPS, 20).items()},
            "rings": {str(n): standbys.ring(dsn, n) for n in LISTENERS},
        }
    small = {"max_connections": "20", "max_locks_per_transaction": "10"}
    with server({**QUICK_SERVER, **small}) as private:
        return {**figures, "room": standbys.room(private.dsn, 100_000)}


def _title(size: Size) -> str:
    limit = f", ``max_loops`` {size.max_loops}" if size.max_loops else ""
    told = f", told that they are {size.told:,}" if size.told else ""
    return f"{size.hosts:,} hosts{told}, {size.loops:,} loops{limit}"


def _table(title: str, figures: dict[str, Figures], real: Figures) -> Table:
    rows = [[event, *_cells(taken, real)] for event, taken in figures.items()]
    doubles = sum(taken["doubles"] for taken in figures.values())
    return Table(title, [HEAD, *rows], f"Loops with two holders at one time: {doubles}.")


def _cells(taken: Figures, real: Figures) -> list[str]:
    gaps = taken["gaps"]
    waits = [f"{gaps[n]:.2f}" for n in (50, 99, 100)] if gaps else ["", "", ""]
    rates = [written(taken[name]) for name in ("statements", "peak", "tries")]
    cpu = _cost(real, taken)
    spread = " / ".join(f"{number:g}" for number in taken["held"])
    return [*waits, *rates, written(100 * cpu, 2), spread]


def _cost(real: Figures, taken: Figures) -> float:
    """Return the server's share of a core; a session that had been idle is dearer than another."""
    batches, lookups = real["batches"], real["lookups"]
    for_each = (batches["320"] - batches["10"]) / 310
    asked = (lookups["1000"] - lookups["5"]) / 995 * taken["loops"] + lookups["5"]
    busy = batches["10"] - 10 * for_each
    idle = max(busy, real["round"] - LOCKS * for_each - lookups["5"] / (0.9 * AGE))
    further = max(0.0, taken["statements"] - taken["wakes"])
    spent = idle * taken["wakes"] + busy * further + for_each * taken["tries"]
    return float(spent + asked * taken["lookups"])


def _targets(raw: dict[str, dict[str, Figures]]) -> list[Target]:
    every = [(event, taken) for fleet in raw.values() for event, taken in fleet.items()]
    dead = [taken["gaps"][100] for event, taken in every if "are killed" in event]
    left = [taken["gaps"][50] for event, taken in every if "in order" in event]
    return [
        Target("take-over after kill -9, model, worst, s", max(dead), INTERVAL + 1.0),
        Target("take-over after a stop in order, model, highest median, s", max(left), 0.1),
        Target("loops with two holders, model", sum(taken["doubles"] for _, taken in every), 0),
    ]


def _costs(real: dict[str, Any]) -> Table:
    rows = [["on a real server", "CPU"]]
    what = f"{STANDBYS} standbys, {LOCKS} locks each {INTERVAL:g} s, % of a core"
    rows.append([what, written(100 * real["standbys"])])
    rows.append([f"a round of one of them, {LOCKS} locks, us", written(1e6 * real["round"])])
    for number, cost in real["batches"].items():
        locks = "a lock" if number == "1" else f"{number} locks"
        rows.append([f"a statement right after another, for {locks}, us", written(1e6 * cost)])
    for number, cost in real["lookups"].items():
        rows.append([f"asking who holds {int(number):,} locks, us", written(1e6 * cost)])
    for number, cost in real["rings"].items():
        rows.append([f"a ring with {number} listeners, us", written(1e6 * cost)])
    note = (
        "CPU of the server's processes for these sessions. "
        f"With ``max_connections`` 20 and ``max_locks_per_transaction`` 10, one session got "
        f"{real['room']:,} advisory locks before the server was out of shared memory."
    )
    return Table("What the server pays", rows, note)
