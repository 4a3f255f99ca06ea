"""The command line: ``python -m benchmarks [MEASURE ...]``, see ``--help``."""

from __future__ import annotations

import argparse
import compileall
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks import machine, report
from benchmarks.bench import Bench, Sizes, server
from benchmarks.consumers import ALL, chosen
from benchmarks.measures import MEASURES
from benchmarks.outcome import Outcome
from benchmarks.processes import HERE

QUICK = Sizes(
    rounds=1, cpu_rounds=1, wakes=200, storm=20_000, calls=50_000, functions=(1, 10, 1_000),
    sleepers=(100, 10_000), echoes=200, idle=15, starts=3, writing=2,
)  # fmt: skip
"""For a first look; about two minutes for all."""


def parser() -> argparse.ArgumentParser:
    """Return what understands the command line."""
    parsed = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parsed.add_argument("measure", nargs="*", help=f"of {', '.join(MEASURES)}; all by default")
    parsed.add_argument("--quick", action="store_true", help="one small round of everything")
    parsed.add_argument("--rounds", type=int, help="how often each figure is taken")
    parsed.add_argument("--only", metavar="A,B", help=f"consumers, of {', '.join(ALL)}")
    parsed.add_argument("--results", type=Path, help="a folder for the results; none by default")
    parsed.add_argument("--logs", type=Path, help="keep what the processes log in this folder")
    return parsed


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write the results if that is asked for."""
    options = parser().parse_args(arguments)
    names = options.measure or MEASURES
    if unknown := [name for name in names if name not in MEASURES]:
        parser().error(f"no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    try:
        consumers = chosen(options.only.split(",") if options.only else None)
    except ValueError as error:
        parser().error(str(error))
    facts = machine.describe()
    # As pip does when it installs: whoever compiles at each start is slower, and 1 MB larger.
    compileall.compile_dir(HERE / "txdoorbell", quiet=1)
    with tempfile.TemporaryDirectory() as place, server() as private:
        folder = options.logs or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(private.dsn, folder, tuple(consumers), sizes_of(options))
        outcomes = []
        for name in MEASURES:
            if name in names:
                outcomes.append(take(name, bench))
                facts["load average after"] = machine.load()
                if options.results:
                    save(options.results, outcomes[-1], facts)
    sys.stdout.write(report.summary(outcomes) + "\n")
    return 0


def sizes_of(options: argparse.Namespace) -> Sizes:
    """Return how much is to be measured."""
    sizes = QUICK if options.quick else Sizes()
    if not options.rounds:
        return sizes
    of_cpu = min(options.rounds, Sizes.cpu_rounds)
    return dataclasses.replace(sizes, rounds=options.rounds, cpu_rounds=of_cpu)


def take(name: str, bench: Bench) -> Outcome:
    """Take one measure."""
    sys.stderr.write(f"{name} ...\n")
    outcome: Outcome = import_module(f"benchmarks.measures.{name}").measure(bench)
    return outcome


def save(folder: Path, outcome: Outcome, facts: dict[str, str]) -> None:
    """Write one measure's results, with its picture if matplotlib is there."""
    report.write(folder, [outcome], facts)
    if find_spec("matplotlib"):
        from benchmarks.plots import plot

        plot(folder, [outcome])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
