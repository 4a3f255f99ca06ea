"""
How a doorbell is, for people and for machines.

What is imported here is plain data (:mod:`txdoorbell.status.model`); the page, the metrics and the
rest, which need more, are in modules of their own, and begin with :mod:`txdoorbell.status.service`.
"""

from txdoorbell.status.model import (
    ChannelStatus,
    DoorbellStatus,
    FunctionStatus,
    ListenerStatus,
    LockStatus,
    LoopStatus,
    WalStatus,
)

__all__ = [
    "ChannelStatus",
    "DoorbellStatus",
    "FunctionStatus",
    "ListenerStatus",
    "LockStatus",
    "LoopStatus",
    "WalStatus",
]
