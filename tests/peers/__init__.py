"""Tests beside the five systems that txdoorbell's users may come from: the real packages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from twisted.trial.unittest import SkipTest


def peer(module: str) -> Any:
    """
    Import a module of another system.

    :raises SkipTest: when it isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise SkipTest(f"{error}: the extra `peers` has it") from None
