"""The command ``txdoorbell drill``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner

from txdoorbell.commands.arguments import PLACE, add_command, add_place, checked, place
from txdoorbell.loops.waiters import after
from txdoorbell.processor import check_seconds

__all__ = ["add_drill"]

_TEXT = f"""\
Try how soon a doorbell comes back here, on a live installation. A listener like the
daemon's is made, on a private channel; its backend is terminated, its connection is
reset, and its connection is made to swallow everything. Each time a line says when
that was noticed, when LISTEN was committed again, and that a ring was heard after it.

Nobody else's session or channel is touched. It takes about as long as --heartbeat and
--heartbeat-timeout together, and opens four connections at a time at most. The
server's log will have a line about a terminated backend.

{PLACE}"""

_EXAMPLES = """\
examples:
  txdoorbell drill
  txdoorbell drill --dsn "host=db.example.org dbname=app sslmode=verify-full"
  txdoorbell drill --embedded ./doorbell-data --heartbeat 2 --heartbeat-timeout 1

exit status: 0 when it has recovered from each fault and heard a ring after it, 1 when
it has not or a fault could not be tried, 2 for wrong usage.
"""


def add_drill(commands: Any) -> None:
    """Add the command."""
    drill = add_command(commands, "drill", "try how soon a listener recovers", _TEXT, _EXAMPLES)
    for name, seconds, text in (
        ("patience", 60.0, "that each recovery may take"),
        ("heartbeat", 10.0, "of silence before the server is asked a question, as for the daemon"),
        ("heartbeat-timeout", 5.0, "in which it must answer, as for the daemon"),
    ):
        drill.add_argument(
            f"--{name}",
            metavar="SECONDS",
            type=checked(_seconds),
            default=seconds,
            help=f"seconds {text}; the default is {seconds:g}",
        )
    add_place(drill)
    drill.set_defaults(run=_drill)


def _seconds(text: str) -> float:
    try:
        return check_seconds("", float(text))
    except ValueError:
        raise ValueError(f"{text!r} is no positive number of seconds") from None


def _drill(options: argparse.Namespace) -> NoReturn:
    from twisted.internet.task import react

    dsn = place(options)
    from txdoorbell.commands.drill import HEADING, Drill, NotDrilled
    from txdoorbell.listening.connector import Timing

    timing = Timing(heartbeat=options.heartbeat, heartbeat_timeout=options.heartbeat_timeout)
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, _ignore)], redirectStandardIO=False)

    async def drill(reactor: Any) -> None:
        _show(HEADING)
        try:
            recovered = await Drill(reactor, dsn, options.patience, timing).run(_show)
        except NotDrilled as error:
            raise SystemExit(f"txdoorbell drill: {error}") from None
        except CancelledError:
            raise SystemExit("txdoorbell drill: interrupted") from None
        if not recovered:
            raise SystemExit("txdoorbell drill: it has not recovered from each fault")

    react(partial(_until_interrupted, drill))


def _until_interrupted(
    main: Callable[[Any], Coroutine[Any, Any, None]], reactor: Any
) -> Deferred[None]:
    """Run a coroutine function; when the reactor is stopped, cancel it, and let it tidy up."""
    done = Deferred.fromCoroutine(main(reactor))

    def interrupt() -> Deferred[None]:
        done.cancel()
        return after(done)

    reactor.addSystemEventTrigger("before", "shutdown", interrupt)
    return done


def _show(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _ignore(event: LogEvent) -> None:
    """Say nothing of losses: they are what was asked for."""
