"""What tests and the demo start is ended and removed when they are: by Ctrl-C, by a lost terminal, by SIGTERM."""

import os
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = """
import signal, sys
from harness.ports import free_port
from harness.workspace import Process, Workspace, on_end_signals
on_end_signals(lambda number: sys.exit(number))
with Workspace("end") as space:
    server = space.add(Process(["sleep", "600"], space.join("out")))
    print(space.path, server.pid, free_port(), flush=True)
    signal.pause()
"""


def ignore():
    """As a shell does for what a script starts with &."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class Ending(unittest.TestCase):
    def test_every_end_signal_ends_what_was_started(self):
        environment = {k: v for k, v in os.environ.items() if k != "KAGEMUSHA_TEST_KEEP"}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number), subprocess.Popen([sys.executable, "-B", "-c", PROGRAM], stdout=subprocess.PIPE,
                                                        text=True, cwd=HERE, env=environment, preexec_fn=ignore) as program:
                folder, server, _ = program.stdout.readline().split()
                self.assertTrue(os.path.isdir(folder))
                os.kill(int(server), 0)
                program.send_signal(number)
                self.assertEqual(program.wait(30), number)
                self.assertFalse(os.path.exists(folder))
                with self.assertRaises(ProcessLookupError):
                    os.kill(int(server), 0)

    def test_a_port_belongs_to_one_process_and_comes_back(self):
        claim = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0kagemusha-test-port-%s')"
        with subprocess.Popen([sys.executable, "-B", "-c", PROGRAM], stdout=subprocess.PIPE, text=True, cwd=HERE) as program:
            port = program.stdout.readline().split()[2]
            second = [sys.executable, "-c", claim % port]
            self.assertIn("Address already in use", subprocess.run(second, capture_output=True, text=True).stderr)
            program.terminate()
            program.wait(30)
            self.assertEqual(subprocess.run(second).returncode, 0)


if __name__ == "__main__":
    unittest.main()
