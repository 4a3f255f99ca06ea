r"""
The states of a loop, and what each event does in each of them.

.. code-block:: text

    event \ state    NEW      STOPPED  QUIET    DUE      CALLING   WAITING   STOPPING    RESTARTING
    start            DUE      DUE *    -        -        -         -         RESTARTING  -
    ring             (noted)  -        DUE      (noted)  (noted)   (noted)   -           -
    turn             .        .        CALLING  CALLING  .         .         .           .
    out of work      .        .        .        .        QUIET     .         .           .
    slice used up    .        .        .        .        DUE       .         .           .
    must be waited   .        .        .        .        WAITING   .         .           .
    finished         .        -        .        .        .         DUE       STOPPED     DUE
    stop             STOPPED  -        STOPPED  STOPPED  STOPPING  STOPPING  -           STOPPING
    deadline         .        .        .        .        .         .         STOPPED     DUE *
    crash            STOPPED  -        STOPPED  STOPPED  STOPPED   STOPPED   STOPPED     STOPPED

``-`` is accepted and changes nothing, ``.`` does not happen. ``*``: WAITING, when what a stop or a
crash has left behind is still active. RESTARTING is STOPPING, after which it begins anew. The one
delayed call there is belongs to the state: the next wake-up in QUIET, the next turn in DUE, the
deadline in STOPPING and RESTARTING, and soon after it that for what ignores its cancellation.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a loop stands."""

    NEW = "new"
    STOPPED = "stopped"
    QUIET = "quiet"
    DUE = "due"
    CALLING = "calling"
    WAITING = "waiting"
    STOPPING = "stopping"
    RESTARTING = "restarting"


# On Python 3.11 a member of an Enum takes ten times as long to look up as a name in a module.
NEW, STOPPED, QUIET, DUE, CALLING, WAITING, STOPPING, RESTARTING = State
