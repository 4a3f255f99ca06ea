r"""
The states of a loop, and what each event does in each of them.

.. code-block:: text

    event \ state    NEW      STOPPED  QUIET      DUE        CALLING    WAITING    STOPPING    RESTARTING  SUSPENDED
    start            DUE *    DUE *    -          -          -          -          RESTARTING  -           -
    ring             (noted)  -        DUE        (noted)    (noted)    (noted)    -           -           (noted)
    turn             .        .        CALLING *  CALLING *  .          .          .           .           .
    out of work      .        .        .          .          QUIET      .          .           .           .
    slice used up    .        .        .          .          DUE        .          .           .           .
    must be waited   .        .        .          .          WAITING    .          .           .           .
    finished         .        -        .          .          .          DUE        STOPPED     DUE *       -
    suspend          (noted)  (noted)  SUSPENDED  SUSPENDED  SUSPENDED  SUSPENDED  (noted)     (noted)     -
    resume           (noted)  (noted)  -          -          -          -          (noted)     (noted)     DUE *
    stop             STOPPED  -        STOPPED    STOPPED    STOPPING   STOPPING   -           STOPPING    STOPPED *
    deadline         .        .        .          .          .          .          STOPPED     DUE *       .
    crash            STOPPED  -        STOPPED    STOPPED    STOPPED    STOPPED    STOPPED     STOPPED     STOPPED

``-`` is accepted and changes nothing, ``.`` does not happen. ``*``: instead of DUE it is SUSPENDED
while a suspension is noted, and otherwise WAITING when what a stop, a crash or a suspension has
left behind is still active; CALLING becomes SUSPENDED at once when ``may_call`` says no; a stop
when SUSPENDED is STOPPING while what was cancelled is still active. RESTARTING is STOPPING, after
which it begins anew. The one delayed call there is belongs to the state: the next wake-up in QUIET,
the next turn in DUE, the deadline in STOPPING and RESTARTING, and soon after it that for what
ignores its cancellation, as there is one in SUSPENDED.

SUSPENDED is for a loop that another host runs: it is quiet when nothing is active, whatever has
been rung; submitted work waits in it, and fails when the loop is stopped. A suspension outlasts
stops and starts.
"""  # noqa: E501 - the table is as wide as it is

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
    SUSPENDED = "suspended"


# On Python 3.11 a member of an Enum takes ten times as long to look up as a name in a module.
NEW, STOPPED, QUIET, DUE, CALLING, WAITING, STOPPING, RESTARTING, SUSPENDED = State
