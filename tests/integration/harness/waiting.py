"""The one place that waits for something which gives no event of its own.

Nothing else in the tests sleeps: pipes, sockets and conditions are waited for by themselves.
"""

import time


class TimedOut(AssertionError):
    """What was waited for did not come."""


def wait_for(predicate, seconds=30.0, what="the condition"):
    """Returns the first true value of predicate(); asks often at first and then less."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"waited {seconds:g} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
