"""``python -m tests.soak --minutes 15``; status 1 when a ring was missed or anything leaked."""

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
    parser.add_argument("--pooler", action="store_true", help="PgBouncer in front, session mode")
    parser.add_argument("--only", default="", help="the faults that have this in their names")
    parser.add_argument("--folder", type=Path, help="for all files, which are kept then")
    return parser.parse_args()


async def soak(reactor: Any, options: argparse.Namespace) -> None:
    """Run a soak, and exit by its verdict."""
    timing = USUAL if options.usual else HASTY
    say(f"{options.minutes:g} minutes, seed {options.seed}, {options.rate:g} rings/s, {timing}")
    with ExitStack() as stack:
        folder = options.folder
        if folder is None:
            temporary = TemporaryDirectory(prefix="soak-", dir="/var/tmp")
            folder = Path(stack.enter_context(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        faults = [fault for fault in FAULTS if options.only in fault.name]
        files = folder.resolve()
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
    react(lambda reactor: Deferred.fromCoroutine(soak(reactor, options)))
