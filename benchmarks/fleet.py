"""
The fleet alone: ``python -m benchmarks.fleet [--quick] [--results FOLDER]``.

The same as ``python -m benchmarks fleet``, but of the results only the fleet's own are written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import machine, report
from benchmarks.__main__ import QUICK
from benchmarks.bench import Bench, Sizes
from benchmarks.measures.fleet import measure


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write the results if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small fleets alone")
    parser.add_argument("--results", type=Path, help="a folder for the results; none by default")
    options = parser.parse_args(arguments)
    facts = machine.describe()
    with tempfile.TemporaryDirectory() as place:
        outcome = measure(Bench("", Path(place), (), QUICK if options.quick else Sizes()))
    facts["load average after"] = machine.load()
    sys.stdout.write(report.summary([outcome]) + "\n")
    if options.results:
        report.write_one(options.results, outcome, facts)
        if find_spec("matplotlib"):
            from benchmarks.plots import plot

            plot(options.results, [outcome])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
