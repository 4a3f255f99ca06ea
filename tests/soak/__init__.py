"""
The soak: a doorbell as in production, at a server that fails every few seconds, for hours if asked.

``make soak MINUTES=15``. It isn't a part of ``make test``. Three processes take part:

* a twistd with the doorbell (:mod:`tests.soak.service`), connected through a proxy;
* a sender of rings, connected directly (:mod:`tests.soak.ringer`);
* this one, which runs the server and the proxy, and makes the faults (:mod:`tests.soak.conductor`).

The first two write down when they did what, by the one monotonic clock of the machine. From that
:mod:`tests.soak.verdict` finds out whether each ring was followed, in time, by a run that began
after its commit.
"""
