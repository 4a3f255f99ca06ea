"""How to ring, told to whoever has just started a doorbell on a private PostgreSQL."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from txdoorbell.doorbell import Doorbell

__all__ = ["invite", "ring_command"]


def ring_command(channel: str, data: Path, python: str = sys.executable) -> str:
    """
    Return the command line that rings, for any directory and any terminal of this machine.

    :param channel: what to ring.
    :param data: the folder of the private PostgreSQL.
    :param python: the interpreter beside which the command ``txdoorbell`` is looked for.
    """
    script = Path(python).with_name("txdoorbell")
    program = [str(script)] if os.access(script, os.X_OK) else [python, "-m", "txdoorbell"]
    return shlex.join([*program, "ring", channel, "hello", "--embedded", str(data.absolute())])


def invite(bell: Doorbell, data: Path, write: Callable[[str], object] = print) -> None:
    """
    Tell how to ring, once the doorbell has begun to listen.

    :param data: the folder of the private PostgreSQL.
    :param write: takes a line.
    """
    channel = min(bell.channels, default="doorbell")

    def tell(_: object) -> None:
        write(f"Listening on {', '.join(sorted(bell.channels))}. Try this in another terminal:")
        write(f"    {ring_command(channel, data)}")

    # A stop before that is nothing to complain of.
    bell.when_listening().addCallbacks(tell, lambda _: None)
