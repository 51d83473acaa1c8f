"""What all measurements say of the machine that they ran on."""

import os
import platform


def machine():
    """The processor, how many, and the kernel, for the first line of a report."""
    with open("/proc/cpuinfo") as file:
        name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} CPUs, Linux {platform.release()}"
