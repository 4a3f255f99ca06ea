"""buildbot.util.loop, of 2012: start builds when they are due. Run by ``twistd -ny``."""

import time

from buildbot.util import loop
from twisted.application.service import Application


class Builds(loop.Loop):
    def __init__(self):
        loop.Loop.__init__(self)
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
builds.setServiceParent(application)
builds.schedule(time.time() + 3600)
