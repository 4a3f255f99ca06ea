"""asynqueue: write reports, the urgent one first."""

from asynqueue import AsyncWorker, TaskQueue
from twisted.internet.task import react


def report(order):
    print("report on order", order)
    return order


def pages(order):
    yield f"order {order}, page 1"
    yield f"order {order}, page 2"


async def main(reactor):
    queue = TaskQueue(AsyncWorker(), returnFailure=True)
    await queue.call(report, 1)
    await queue.call(report, 2, doNext=True)
    for page in await queue.call(pages, 3):
        print(await page)
    await queue.shutdown()


react(main)
