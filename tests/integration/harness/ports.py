"""Free ports on loopback that no other test process takes at the same time.

They lie below the kernel's ephemeral range, so that no outgoing connection grabs one between choosing and binding;
a locked file for each keeps parallel test processes apart.
"""

import fcntl
import os
import random
import socket
import tempfile

_FIRST, _LAST = 12000, 31000
_held = []


def free_port():
    folder = os.path.join(tempfile.gettempdir() if "KAGEMUSHA_PORTS" not in os.environ
                          else os.environ["KAGEMUSHA_PORTS"], "kagemusha-ports")
    os.makedirs(folder, exist_ok=True)
    for _ in range(2000):
        port = random.randint(_FIRST, _LAST)
        lock = os.open(os.path.join(folder, str(port)), os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise RuntimeError("no free port found")


def accepts(port, host="127.0.0.1"):
    """Whether something listens there now."""
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False
