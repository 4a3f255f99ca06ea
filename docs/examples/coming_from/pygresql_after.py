"""txdoorbell: print what is said about orders, until somebody says stop."""

from twisted.internet.task import react

from txdoorbell import Doorbell


def heard(subscriber, event, extra, pid):
    print(event, extra)


def nothing_came():
    print("nothing came")


async def main(reactor):
    bell = Doorbell(
        reactor, channels=[], idle_timeout=60, on_idle=nothing_came, stop_channel="stop_orders"
    )
    for event in ("orders", "stop_orders"):
        bell.subscribe("printer", event, heard)
    bell.startService()
    await bell.when_listening()
    print("listening")
    await bell.when_stopped()


react(main)
