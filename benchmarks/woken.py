"""
A process whose function is woken by a bell, and notes when.

``python -m benchmarks.woken BELL DSN``: the bell is ``channel``, for NOTIFY, or what the
write-ahead log tells: ``table`` or ``message``.
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.python import log

from benchmarks.record import CHANNEL, Wakes, fail, run_reactor
from txdoorbell import Doorbell

TABLE = "by_log"

_CHANNELS = {"channel": [CHANNEL], "table": [], "message": [CHANNEL]}

# There is no reader of the log unless a table is asked for.
_TABLES = {"channel": [], "table": [TABLE], "message": [TABLE]}


def main(bell: str, dsn: str) -> None:
    """Run until standard input is closed, then report."""
    log.startLogging(sys.stderr, setStdout=False)
    record = Wakes(sys.maxsize)
    doorbell = Doorbell(reactor, dsn, channels=_CHANNELS[bell], tables=_TABLES[bell])
    doorbell.add(record.runner())
    doorbell.startService()
    doorbell.when_listening().addCallback(lambda _: record.ready()).addErrback(fail)
    run_reactor()


if __name__ == "__main__":
    main(*sys.argv[1:])
