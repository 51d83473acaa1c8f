"""What all measurements have in common: what they say of the machine, and that they end their servers."""

import os
import platform
import signal
import sys


def end_at_signals():
    """What is in a `with` is ended when somebody stops the measurement, not only with Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def machine():
    """The processor, how many, and the kernel, for the first line of a report."""
    with open("/proc/cpuinfo") as file:
        name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} CPUs, Linux {platform.release()}"
