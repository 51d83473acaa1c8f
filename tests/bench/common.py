"""What all measurements have in common: where the harness is, what they say of the machine, how they count CPU, and that
they end their servers. Imported before anything of the harness."""

import os
import platform
import re
import signal
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from harness import smtp_client  # noqa: E402
from harness.mail import message  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def end_at_signals():
    """What is in a `with` is ended when somebody stops the measurement, not only with Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def machine():
    """The processor, how many, and the kernel, for the first line of a report."""
    with open("/proc/cpuinfo") as file:
        name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} CPUs, Linux {platform.release()}"


def parents():
    """{process: its parent} of everything that runs."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    found[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    return found


def children(parent):
    return [child for child, its in parents().items() if its == parent]


def processes(parent):
    """`parent` and all that descend from it."""
    known, found = parents(), [parent]
    for pid in found:
        found += [child for child, its in known.items() if its == pid]
    return found


def cpu(parent):
    """Seconds on a processor of a server's threads, to the microsecond, and of its processes that have ended."""
    total = 0
    for pid in processes(parent):
        try:
            with open(f"/proc/{pid}/stat") as file:
                total += sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[13:15]) / TICK
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[0]) / 1e9
        except OSError:
            continue
    return total


def learn_phantoms(gateway, sink, public, sender, people):
    """The phantoms of `people` for the one member behind `public`, whose copies come to `sink`: from one mail of `sender`
    that names all of them in Cc."""
    reply = smtp_client.send(gateway.inbound, sender, public, message(sender, public, extra="Cc: " + ",\n ".join(people)))
    assert reply.code == 250, reply
    text = sink.messages[0].header.decode().split("Cc:", 1)[1]
    found = list(dict.fromkeys(re.findall(r"[0-9a-z]{16}@p\.school\.example", text)))[:len(people)]
    assert len(found) == len(people), len(found)
    return found
