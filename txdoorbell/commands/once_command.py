"""The command ``txdoorbell once``."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from txdoorbell.commands.arguments import add_command, checked
from txdoorbell.settling.load import import_from_here, load_processor

if TYPE_CHECKING:
    from txdoorbell.settling.functions import Plan

__all__ = ["add_once"]

_TEXT = """\
Run functions, or handler objects, once: those that are named, or all of a configuration
file. One at a time, without listening. On a terminal each is named as it begins.
"""

_EXAMPLES = """\
examples:
  txdoorbell once jobs:process
  txdoorbell once shop.outbox:relay shop.store:subscription.runner
  txdoorbell once --config doorbell.toml

Modules may lie in the current directory. What a function asks for is done, work that
remains included; a time at which it wants to run again is not waited for. Locks of a
configuration are not asked for.

exit status: 0 when all went well, 1 when one failed (its traceback is on stderr, and
the others have run) or the file can't be used, 2 for wrong usage.
"""


def add_once(commands: Any) -> None:
    """Add the command."""
    once = add_command(commands, "once", "run functions once", _TEXT, _EXAMPLES)
    once.add_argument("processors", metavar="MODULE:NAME", nargs="*", type=checked(_processor))
    once.add_argument(
        "--config", metavar="FILE", type=Path, help="run all that this file of twistd doorbell has"
    )
    once.set_defaults(run=partial(_once, once))


def _processor(text: str) -> object:
    import_from_here()
    return load_processor(text)


def _once(parser: argparse.ArgumentParser, options: argparse.Namespace) -> NoReturn:
    from twisted.internet.task import react

    from txdoorbell.commands.once import Progress, run_once, run_plan_once

    if bool(options.processors) == (options.config is not None):
        parser.error("one or more MODULE:NAME are required, or --config FILE")
    plan = None if options.config is None else _read(options.config)
    globalLogBeginner.beginLoggingTo([_complaints()], redirectStandardIO=False)
    progress = Progress(time.monotonic, sys.stderr) if sys.stderr.isatty() else None
    called = None if progress is None else progress.called

    async def once(reactor: Any) -> None:
        if plan is None:
            errors = await run_once(reactor, options.processors, called)
        else:
            errors = await run_plan_once(reactor, plan, called)
        if errors:
            raise SystemExit(f"txdoorbell once: {errors} failed; see above")
        if progress is not None:
            progress.ended()

    react(once)


def _read(path: Path) -> Plan:
    from txdoorbell.config import ConfigError, read_config

    import_from_here()
    try:
        return read_config(path)
    except ConfigError as error:
        raise SystemExit("\n".join(f"txdoorbell once: {one}" for one in error.problems)) from None


def _complaints() -> ILogObserver:
    """Return an observer that writes warnings and errors to stderr."""
    worth_it = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    return FilteringLogObserver(textFileLogObserver(sys.stderr), [worth_it])
