"""A txpostgres connection that an application has anyway rings a loop."""

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python import log
from txpostgres import txpostgres

from txdoorbell import Loop


async def count_jobs():
    ((left,),) = await connection.runQuery("select count(*) from job where done is null")
    print(f"{left} jobs to do")


async def listen():
    await connection.connect("")  # libpq's environment says where
    connection.addNotifyObserver(loop.notified)
    await connection.runOperation("listen jobs")
    # Not before: a ring that came before LISTEN was committed is lost, and this makes it good.
    loop.setServiceParent(application)


connection = txpostgres.Connection()
loop = Loop(reactor)
loop.add(count_jobs)
application = Application("jobs")
reactor.callWhenRunning(lambda: Deferred.fromCoroutine(listen()).addErrback(log.err))
