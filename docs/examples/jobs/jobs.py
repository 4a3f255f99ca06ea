"""Jobs in a table: each is done once, at its time, by any number of processes."""

import time

from twisted.enterprise import adbapi
from twisted.python import log

from txdoorbell import WORK_REMAINING

# A job that another process has taken is passed over, not waited for.
TAKE = """
    select id, task from job
     where done is null and due <= now()
     order by due, id
     limit 1
       for update skip locked
"""
DONE = "update job set done = now(), error = null where id = %s"
FAILED = """
    update job
       set attempts = attempts + 1, error = %s,
           due = now() + interval '5 seconds' * 2 ^ least(attempts, 9)
     where id = %s
"""
# Seconds, by the database's clock: ours may be another one.
NEXT = "select extract(epoch from min(due) - now())::float from job where done is null"


def connect(most=1):
    """
    Return a pool of connections of our own: the doorbell's is for listening only.

    Where to, libpq's environment says. A connection that is lost fails one call, and is opened
    anew by the next.

    :param most: how many there are. One will do for a function that runs one at a time.
    """
    return adbapi.ConnectionPool(
        "psycopg2",
        cp_min=1,
        cp_max=most,
        cp_reconnect=True,
        # So that a dead server does not keep a thread for ever.
        connect_timeout=10,
        keepalives_idle=10,
        tcp_user_timeout=15000,
    )


def add(pool, task):
    """Add a job that is due now. The table's trigger rings."""
    return pool.runOperation("insert into job (task) values (%s)", [task])


class Jobs:
    """
    The jobs in the table.

    :param pool: a connection to the database.
    :param perform: does a job, given a cursor and the task. It is called in a thread. What it does
        with the cursor is committed together with the job, or rolled back when it fails.
    """

    def __init__(self, pool, perform):
        self.pool = pool
        self.perform = perform

    def process(self):
        """Do one job, if one is due. This is the function for the doorbell."""
        return self.pool.runInteraction(self._process)

    def _process(self, cursor):
        cursor.execute(TAKE)
        job = cursor.fetchone()
        if job is None:
            return self._next(cursor)
        self._attempt(cursor, *job)
        return WORK_REMAINING

    def _attempt(self, cursor, number, task):
        cursor.execute("savepoint attempt")
        try:
            self.perform(cursor, task)
        except Exception as error:  # noqa: BLE001 - one job's error is no other's
            cursor.execute("rollback to attempt")
            cursor.execute(FAILED, [str(error), number])
            log.err(None, f"job {number} failed, and will be tried again")
        else:
            cursor.execute(DONE, [number])

    def _next(self, cursor):
        """Return the time of the next job, or None: then there is no job left."""
        cursor.execute(NEXT)
        (seconds,) = cursor.fetchone()
        return None if seconds is None else time.time() + seconds
