"""``twistd -ny soak.tac``: see :mod:`tests.soak.service`."""

from tests.soak.service import make_application

application = make_application()
