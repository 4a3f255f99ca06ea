"""A shop: orders come in by TCP, a line each, and are worked off as jobs."""

import os

from twisted.application import service, strports
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

from jobs import Jobs, connect
from txdoorbell import Doorbell


# The application as it was: a server for orders.


class Order(LineReceiver):
    delimiter = b"\n"

    def lineReceived(self, line):
        added = jobs.add(line.decode())
        added.addCallbacks(lambda _: self.sendLine(b"thank you"), lambda _: self.sendLine(b"sorry"))


def send(cursor, order):
    cursor.execute("insert into parcel (content) values (%s)", [order])
    if "bomb" in order:
        raise ValueError("not in this shop")


pool = connect()
jobs = Jobs(pool, send)
application = service.Application("shop")
where = os.environ.get("SHOP", "tcp:8123:interface=127.0.0.1")
strports.service(where, Factory.forProtocol(Order)).setServiceParent(application)


# What is new: the doorbell, one more service.

bell = Doorbell(reactor, channels=["jobs"])
bell.add(jobs.process)
bell.setServiceParent(application)
