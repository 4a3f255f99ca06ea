"""The command ``txdoorbell status``."""

from __future__ import annotations

import argparse
import json
import sys
from threading import Event
from typing import Any

from txdoorbell.commands.arguments import add_command, checked
from txdoorbell.status.asking import NotAnswered, Where, ask
from txdoorbell.status.text import as_text

__all__ = ["add_status"]

_DEFAULT = "http://127.0.0.1:8765/"

_TEXT = f"""\
Ask a doorbell that runs with --status how it is. WHERE is an address, or the
endpoint as --status has it; without it, {_DEFAULT}.
"""

_EXAMPLES = """\
examples:
  txdoorbell status
  txdoorbell status http://10.0.0.7:8765/ --watch
  txdoorbell status unix:/run/doorbell.sock --json | jq .listener.state

exit status: 0 when it is ready and well, 1 when it isn't or does not answer, 2 for
wrong usage.
"""

_CLEAR = "\x1b[H\x1b[J"


def add_status(commands: Any) -> None:
    """Add the command."""
    status = add_command(commands, "status", "ask a running doorbell how it is", _TEXT, _EXAMPLES)
    status.add_argument("where", metavar="WHERE", nargs="?", default=_DEFAULT, type=checked(Where))
    status.add_argument("--watch", action="store_true", help="ask each second, until Ctrl-C")
    status.add_argument("--json", action="store_true", help="all of it, as JSON; a line if watched")
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    if options.watch:
        return _watch(options)
    try:
        status = ask(options.where)
    except NotAnswered as error:
        raise SystemExit(f"txdoorbell status: {error}") from None
    print(json.dumps(status, indent=1) if options.json else as_text(status))
    return 1 if status["sick"] or status["unready"] else 0


def _watch(options: argparse.Namespace) -> int:
    before = _CLEAR if sys.stdout.isatty() and not options.json else ""
    try:
        while True:
            try:
                status = ask(options.where)
                text = json.dumps(status) if options.json else as_text(status)
                print(f"{before}{text}", flush=True)
            except NotAnswered as error:
                print(f"{before}txdoorbell status: {error}", file=sys.stderr, flush=True)
            Event().wait(1.0)
    except KeyboardInterrupt:
        return 0
