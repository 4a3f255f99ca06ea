"""pgnotifier: two subscribers, one of them muted, until the price is 0."""

from threading import Event

from pgnotifier import Notifier

over = Event()


def heard(subscriber, channel, payload, pid):
    print(subscriber, channel, payload)
    if payload == {"price": 0}:
        over.set()


notifier = Notifier({})
notifier.add_channels(["prices", "weather"])
notifier.subscribe("screen", "prices", heard)
notifier.subscribe("screen", "weather", heard)
notifier.subscribe("archive", "prices", heard)
notifier.mute_subscriber("archive", ["prices"])
notifier.mute_channels(["weather"])
print(sorted(notifier.channels()), notifier.is_running())
print("listening")
over.wait()
notifier.stop()
