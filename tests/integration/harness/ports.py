"""Free ports on loopback that no other test process takes at the same time.

They lie below the kernel's ephemeral range, so that no outgoing connection grabs one between choosing and binding;
for each a Unix socket with an abstract name keeps parallel test processes apart, and is gone with its process.
"""

import random
import socket

_FIRST, _LAST = 12000, 31000
_held = []


def free_port():
    for _ in range(2000):
        port = random.randint(_FIRST, _LAST)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0kagemusha-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _held.append(claim)
        return port
    raise RuntimeError("no free port found")


def accepts(port, host="127.0.0.1"):
    """Whether something listens there now."""
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False
