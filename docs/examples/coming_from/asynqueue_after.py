"""txdoorbell: write reports, the urgent one first, and one for each order that is notified."""

from asynqueue import TaskQueue
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from txdoorbell import Doorbell
from txdoorbell.worker import LoopWorker

last = Deferred()


def report(order):
    print("report on order", order)
    return order


def pages(order):
    yield f"order {order}, page 1"
    yield f"order {order}, page 2"


async def main(reactor):
    bell = Doorbell(reactor, channels=[])
    queue = TaskQueue(LoopWorker(bell.loop), returnFailure=True)
    bell.startService()
    await queue.call(report, 1)
    await queue.call(report, 2, doNext=True)
    for page in await queue.call(pages, 3):
        print(await page)

    # What asynqueue has no part for: work that PostgreSQL announces.
    def ordered(subscriber, channel, order, pid):
        return queue.call(report, order)

    bell.subscribe("reports", "orders", ordered)
    bell.subscribe("end", "closed", lambda *_: last.callback(None))
    await bell.when_listening()
    print("listening")
    await last
    await queue.shutdown()
    await bell.stopService()


react(main)
