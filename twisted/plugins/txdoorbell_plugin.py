# Every `twistd --help` of the machine imports this file, so it imports ServiceMaker only.
from twisted.application.service import ServiceMaker

txdoorbell = ServiceMaker(
    "txdoorbell",
    "txdoorbell.tap",
    "Run functions when PostgreSQL rings: one at a time, no ring missed.",
    "doorbell",
)
