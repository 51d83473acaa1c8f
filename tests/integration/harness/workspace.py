"""A temporary folder and the processes that live in it; closing it ends them and removes it."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile


class Workspace:
    """Paths are short, since Unix sockets lie in them; other users may pass through, since servers drop root."""

    open = set()

    def __init__(self, name="t"):
        self.path = tempfile.mkdtemp(prefix=f"k{name[:6]}")
        os.chmod(self.path, 0o755)
        self.stack = contextlib.ExitStack()
        self.keep = False
        Workspace.open.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @classmethod
    def close_all(cls):
        """Also what a signal interrupted: each server is asked to stop at most once, and then ended."""
        for space in list(cls.open):
            with contextlib.suppress(Exception):  # at the end of everything: the others have to be closed too
                space.close()
        for process in list(Process.alive):
            process.kill()

    def close(self):
        try:
            self.stack.close()
        finally:
            Workspace.open.discard(self)
            if not self.keep and "KAGEMUSHA_TEST_KEEP" not in os.environ:
                shutil.rmtree(self.path, ignore_errors=True)

    def join(self, *parts):
        return os.path.join(self.path, *parts)

    def folder(self, *parts, mode=0o755):
        path = self.join(*parts)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return path

    def write(self, name, text, mode=0o644):
        path = self.join(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path

    def add(self, server):
        """Has server.stop() called when the workspace closes; later ones first."""
        self.stack.callback(server.stop)
        return server


atexit.register(Workspace.close_all)


def on_end_signals(end):
    """Has `end(number)` called, once, at the first signal that ends a program: a lost terminal's too, and also where a
    shell's `&` had one of them ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def first(number, _):
        for other in numbers:
            signal.signal(other, lambda *_: None)  # and not SIG_IGN, which programs would inherit
        end(number)
    for number in numbers:
        signal.signal(number, first)


class Process:
    """A program in a session of its own; its output goes to a file. Ended by its id."""

    alive = set()

    def __init__(self, argv, log, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.argv, self.log = argv, log
        self.output = open(log, "ab")
        self.popen = subprocess.Popen(argv, stdin=stdin, stdout=self.output, stderr=subprocess.STDOUT, env=env,
                                      cwd=cwd, start_new_session=True)
        Process.alive.add(self)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def send(self, number):
        if self.running():
            self.popen.send_signal(number)

    def text(self):
        with open(self.log, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def wait(self, seconds=30.0):
        """Exit status, when it ends by itself in time."""
        return self.popen.wait(seconds)

    def stop(self, number=signal.SIGTERM, seconds=15.0):
        if self.running():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(number)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        # What it started and left behind belongs to the same session.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        Process.alive.discard(self)
        self.output.close()
        return self.popen.returncode

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)
        Process.alive.discard(self)

    def memory_peak(self):
        """VmHWM in octets."""
        return status_value(self.pid, "VmHWM") * 1024


def status_value(pid, key):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def run(argv, stdin="", env=None, seconds=60.0, cwd=None, user=None):
    """Runs a command to its end; the result has returncode, stdout and stderr as text. `user`: a number, for who is root."""
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, env=env, timeout=seconds, cwd=cwd, **identity)
