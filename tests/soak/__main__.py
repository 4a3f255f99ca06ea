"""
``python -m tests.soak --minutes 15``; status 1 when a ring was missed or anything leaked.

With ``--fleet`` eight processes share five locked loops; status 1 when one ran in two places.
"""

from __future__ import annotations

import argparse
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.fleet.members import HASTY as HASTY_FLEET
from tests.fleet.members import USUAL as USUAL_FLEET
from tests.soak.conductor import HASTY, USUAL, Soak
from tests.soak.faults import FAULTS


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long faults are made")
    parser.add_argument("--rate", type=float, default=40.0, help="rings per second")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults")
    parser.add_argument(
        "--usual", action="store_true", help="the default timeouts, in place of short ones"
    )
    parser.add_argument(
        "--fleet", action="store_true", help="a fleet, and its faults, in place of one doorbell"
    )
    parser.add_argument("--pooler", action="store_true", help="PgBouncer in front, session mode")
    parser.add_argument("--only", default="", help="the faults that have this in their names")
    parser.add_argument("--folder", type=Path, help="for all files, which are kept then")
    return parser.parse_args()


def folder_of(options: argparse.Namespace, stack: ExitStack) -> Path:
    """Return the folder for all files, made, and removed at the end unless it was asked for."""
    folder: Path | None = options.folder
    if folder is None:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="soak-", dir="/var/tmp")))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def fleet(options: argparse.Namespace) -> bool:
    """Run a fleet, and return whether all was well."""
    from tests.fleet.soak import soak_fleet

    terms = USUAL_FLEET if options.usual else HASTY_FLEET
    say(f"a fleet, {options.minutes:g} minutes, seed {options.seed}, {terms}")
    with ExitStack() as stack:
        folder = folder_of(options, stack)
        return soak_fleet(folder, terms, options.minutes, options.seed, say)


async def soak(reactor: Any, options: argparse.Namespace) -> None:
    """Run a soak, and exit by its verdict."""
    timing = USUAL if options.usual else HASTY
    say(f"{options.minutes:g} minutes, seed {options.seed}, {options.rate:g} rings/s, {timing}")
    with ExitStack() as stack:
        faults = [fault for fault in FAULTS if options.only in fault.name]
        files = folder_of(options, stack)
        pooled = options.pooler
        run = Soak(reactor, files, timing, options.rate, options.seed, faults, pooled)
        if not await run.run(options.minutes, say):
            sys.exit(1)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    options = parse()
    if options.fleet:
        sys.exit(0 if fleet(options) else 1)
    react(lambda reactor: Deferred.fromCoroutine(soak(reactor, options)))
