"""txdoorbell: start builds when they are due, or notified. Run by ``twistd -ny``."""

import time

from twisted.application.service import Application
from twisted.internet import reactor

from txdoorbell import Doorbell, Loop


class Builds(Loop):
    def __init__(self):
        super().__init__(reactor)
        self.due = []
        self.add(self.start_builds)

    def schedule(self, when):
        self.due.append(when)
        self.trigger()

    def start_builds(self):
        self.due = [when for when in self.due if when > time.time()]
        print("builds started")
        return min(self.due, default=None)

    def loop_done(self):
        print("quiet")


application = Application("master")
builds = Builds()
bell = Doorbell(reactor, channels="builds", loop=builds)
bell.setServiceParent(application)
builds.schedule(time.time() + 3600)
