"""
A fleet: eight real ``twistd doorbell`` with five locked loops, and faults without end.

``SOAK=--fleet make soak``; ``tests/test_fleet_processes.py`` is a short one. Who takes part:

* the processes (:mod:`tests.fleet.members`), whose functions (:mod:`tests.fleet.work`) write down
  under which lease they do what, by the server's clock (:mod:`tests.fleet.ledger`);
* a thread that rings the loops all the while (:mod:`tests.fleet.ringer`);
* whoever makes the faults, and waits until each loop is held again
  (:mod:`tests.fleet.conductor`, :mod:`tests.fleet.faults`).

:mod:`tests.fleet.judge` finds out from what was written whether any loop ran in two places.
"""
