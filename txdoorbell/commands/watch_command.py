"""The command ``txdoorbell watch``."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn, cast

from twisted.internet.defer import Deferred
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    eventAsText,
    globalLogBeginner,
)

from txdoorbell.commands.arguments import PLACE, add_command, add_place, checked, place
from txdoorbell.commands.watch import LinePrinter, Watcher, as_json, as_text, printable
from txdoorbell.notification import check_channel

__all__ = ["add_watch"]

_TEXT = f"""\
Follow notifications: time, channel, process id of the sender and payload of each.
It listens for ever, and says on stderr when it can't and when it can again. Ctrl-C
ends it, and so does a reader of its output that ends.

{PLACE}"""

_EXAMPLES = """\
examples:
  txdoorbell watch
  txdoorbell watch jobs mail --dsn "host=db.example.org dbname=app"
  txdoorbell watch jobs --json | jq .data

exit status: 0 when it was ended, 2 for wrong usage.
"""


def add_watch(commands: Any) -> None:
    """Add the command."""
    watch = add_command(commands, "watch", "follow notifications", _TEXT, _EXAMPLES)
    watch.add_argument(
        "channels",
        metavar="CHANNEL",
        nargs="*",
        type=checked(check_channel),
        help="what to listen to; doorbell unless you say otherwise",
    )
    watch.add_argument(
        "--json", action="store_true", help="one JSON object per line, with the payload decoded"
    )
    add_place(watch)
    watch.set_defaults(run=_watch)


def _watch(options: argparse.Namespace) -> NoReturn:
    from twisted.internet.task import react

    dsn = place(options)
    from txdoorbell.listener import Listener

    globalLogBeginner.beginLoggingTo([cast(ILogObserver, _log)], redirectStandardIO=False)

    def watch(reactor: Any) -> Deferred[None]:
        ended: Deferred[None] = Deferred()

        def end() -> None:
            if not ended.called:
                ended.callback(None)

        printer = LinePrinter(sys.stdout.fileno(), lambda: reactor.callFromThread(end), _tell)
        listener = Listener(reactor, dsn, channels=options.channels or ["doorbell"], name="watch")
        listener.report_to(Watcher(printer.show, _tell, as_json if options.json else as_text))
        listener.startService()
        reactor.addSystemEventTrigger("before", "shutdown", listener.stopService)
        reactor.addSystemEventTrigger("after", "shutdown", printer.finish)
        return ended

    react(watch)


def _log(event: LogEvent) -> None:
    """Tell what the listener says of itself, and whatever is wrong."""
    level = event.get("log_level", LogLevel.info)
    if level >= LogLevel.warn or _is_about_the_listener(event):
        text = eventAsText(
            event,
            includeTimestamp=False,
            includeSystem=False,
            includeTraceback=level is LogLevel.critical,
        )
        _tell("\n".join(map(printable, text.splitlines())), "txdoorbell")


def _is_about_the_listener(event: LogEvent) -> bool:
    return str(event.get("log_namespace")).startswith("txdoorbell.listening.logbook")


def _tell(text: str, who: str = "txdoorbell watch") -> None:
    sys.stderr.write(f"{who}{' ' if who == 'txdoorbell' else ': '}{text}\n")
    sys.stderr.flush()
