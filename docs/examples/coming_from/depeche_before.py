"""depeche_db: ship what is ordered, until SIGTERM."""

from depeche_db import Executor
from depeche_store import stream, subscription

executor = Executor(db_dsn="dbname=postgres", stimulation_interval=0.5)
executor.register(stream.projector)
executor.register(subscription.runner)
executor.run()
