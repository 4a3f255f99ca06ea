"""
What a notification costs, here and in other libraries: ``python -m benchmarks``.

Not a test and no part of what is installed: nothing here has a time limit to meet. Every consumer
of notifications, every sender and every loop is a process of its own; times are read from
``CLOCK_MONOTONIC``, which all processes of a machine share; rounds are interleaved.
"""
