"""A shop: orders come in by TCP, a line each, and are worked off as jobs."""

import os

from twisted.application import service, strports
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

from jobs import Jobs, add, connect
from txdoorbell import Doorbell


# The application as it was: a server for orders.


class Order(LineReceiver):
    delimiter = b"\n"

    def lineReceived(self, line):
        added = add(pool, line.decode())
        added.addCallbacks(lambda _: self.sendLine(b"thank you"), lambda _: self.sendLine(b"sorry"))


pool = connect(3)
application = service.Application("shop")
where = os.environ.get("SHOP", "tcp:8123:interface=127.0.0.1")
strports.service(where, Factory.forProtocol(Order)).setServiceParent(application)


# What is new: the doorbell, one more service.


def send(cursor, order):
    cursor.execute("insert into parcel (content) values (%s)", [order])
    if "bomb" in order:
        raise ValueError("not in this shop")


jobs = Jobs(connect(), send)
bell = Doorbell(reactor, channels=["jobs"])
bell.add(jobs.process)
bell.setServiceParent(application)
