"""txdoorbell: two subscribers, one of them muted, until the price is 0."""

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from txdoorbell import Doorbell

over = Deferred()


def heard(subscriber, channel, payload, pid):
    print(subscriber, channel, payload)
    if payload == {"price": 0}:
        over.callback(None)


async def main(reactor):
    bell = Doorbell(reactor, channels=[])
    bell.switchboard.add_channels(["prices", "weather"])
    bell.subscribe("screen", "prices", heard)
    bell.subscribe("screen", "weather", heard)
    bell.subscribe("archive", "prices", heard)
    bell.mute_subscriber("archive", ["prices"])
    bell.mute_channels(["weather"])
    bell.startService()
    await bell.when_listening()
    print(sorted(bell.switchboard.channels()), bool(bell.running))
    print("listening")
    await over
    await bell.stopService()


react(main)
