"""One consumer's process: ``python -m benchmarks.consumers NAME wake|storm DSN EXPECTED``."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.consumers import ALL
from benchmarks.record import Storm, Wakes


def main(name: str, what: str, dsn: str, expected: str) -> None:
    """Consume until the record ends the process."""
    consumer = ALL[name]
    record = {"wake": Wakes, "storm": Storm}[what](int(expected))
    run = import_module(f"benchmarks.consumers.{consumer.module}").run
    run(dsn, record, *filter(None, [consumer.variant]))


if __name__ == "__main__":
    main(*sys.argv[1:])
