"""txdoorbell: ship what is ordered, until SIGTERM. Run by ``twistd -ny``."""

from depeche_store import stream, subscription
from twisted.application.service import Application
from twisted.internet import reactor

from txdoorbell import Doorbell

application = Application("shipping")
bell = Doorbell(reactor, dsn="dbname=postgres", channels=[], interval=60)
bell.register(stream.projector)
bell.register(subscription.runner)
bell.setServiceParent(application)
