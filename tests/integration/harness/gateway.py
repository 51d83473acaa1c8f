"""kagemusha itself: its configuration and routes files, the serving process, and its commands."""

import json
import os
import re
import signal
import urllib.request

from . import smtp_client
from .ports import free_port
from .waiting import wait_for
from .workspace import Process, run

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def program():
    """Path of the binary under test."""
    if "KAGEMUSHA" in os.environ:
        return os.path.abspath(os.environ["KAGEMUSHA"])
    for preset in ("release", "debug", "asan"):
        path = os.path.join(ROOT, "build", preset, "bin", "kagemusha")
        if os.path.exists(path):
            return path
    raise RuntimeError("no kagemusha binary; build one, or set KAGEMUSHA")


def sanitized():
    """Whether the binary is an AddressSanitizer build (slower, and its memory means nothing)."""
    return os.environ.get("KAGEMUSHA_SANITIZED") == "1" or "asan" in program()


def toml(table, prefix=""):
    """A configuration file from plain dictionaries: tables, lists of tables and values."""
    lines, below = [], []
    for key, value in table.items():
        if isinstance(value, dict):
            below.append(f"\n[{prefix}{key}]\n" + toml(value, f"{prefix}{key}."))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            below += [f"\n[[{prefix}{key}]]\n" + toml(item, f"{prefix}{key}.") for item in value]
        else:
            lines.append(f"{key} = {_value(value)}\n")
    return "".join(lines + below)


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def member(mailbox, **more):
    return {"mailbox": mailbox, **more}


def routes(addresses, **settings):
    """A routes file: {public address: [mailbox or member()]}; `settings` go to every address."""
    return toml({"address": [
        {"address": address, **settings, "member": [m if isinstance(m, dict) else member(m) for m in members]}
        for address, members in addresses.items()]})


class Gateway:
    """`config` is merged over a working default whose next hop is `next_hop_port`."""

    def __init__(self, space, next_hop_port=None, name="gateway", certificate=None, redis=None, workers=1, **config):
        self.space, self.name = space, name
        self.folder = space.folder(name)
        self.state = os.path.join(self.folder, "state")
        self.inbound, self.submission, self.submissions, self.http = (free_port() for _ in range(4))
        self.config = {
            "server": {"hostname": "mx.school.example", "state_dir": "state", "workers": workers, "log_level": "debug"},
            "inbound": {"authserv_ids": ["mx.school.example"], "fronts": ["127.0.0.1/32"]},
            "listen": [{"face": "inbound", "address": "127.0.0.1", "port": self.inbound},
                       {"face": "http", "address": "127.0.0.1", "port": self.http}],
        }
        if certificate:
            self.config["tls"] = {"certificate": [{"certificate": certificate[0], "key": certificate[1]}]}
            self.config["listen"] += [{"face": "submission", "address": "127.0.0.1", "port": self.submission},
                                      {"face": "submissions", "address": "127.0.0.1", "port": self.submissions}]
        if redis:
            self.config["redis"] = {"unix": redis.socket, "command_timeout": "1s", "connect_timeout": "1s"}
        if next_hop_port:
            self.config["next_hop"] = [{"name": "default", "domains": ["*"], "host": "127.0.0.1", "port": next_hop_port,
                                        "tls": "none"}]
        self.merge(config)
        self.process = None
        self.runs = 0
        space.add(self)

    def merge(self, config):
        for key, value in config.items():
            if isinstance(value, dict):
                self.config.setdefault(key, {}).update(value)
            else:
                self.config[key] = value

    @property
    def config_path(self):
        return os.path.join(self.folder, "kagemusha.toml")

    @property
    def key_path(self):
        return os.path.join(self.state, "master.key")

    def write_config(self):
        # Top-level keys first: TOML has no way back out of a table.
        self.space.write(f"{self.name}/kagemusha.toml", toml(self.config), mode=0o600)  # passwords may stand in it

    # The server

    def start(self, wait="ready"):
        """Starts `serve`; with wait="ready" routes and Redis work, with "listening" only the ports do."""
        self.write_config()
        self.runs += 1
        ready = os.path.join(self.folder, f"ready-{self.runs}.json")
        self.process = Process([program(), "serve", "--config", self.config_path, "--ready-file", ready],
                               os.path.join(self.folder, f"log-{self.runs}"), cwd=self.folder)

        def bound():
            if not self.process.running():
                raise AssertionError(f"kagemusha ended ({self.process.popen.returncode}):\n" + self.process.text()[-3000:])
            return os.path.exists(ready)
        wait_for(bound, 30, "kagemusha to listen")
        with open(ready) as file:
            self.ready = json.load(file)
        if wait == "ready":
            self.wait_event("ready")
        return self

    def stop(self, number=signal.SIGTERM, seconds=30):
        """Ends it and fails when it did not end well: a crash, or what a sanitizer found."""
        if not self.process:
            return
        process, self.process = self.process, None
        killed_before = process.popen.poll() == -signal.SIGKILL
        code = process.stop(number, seconds)
        if code != 0 and not killed_before:
            raise AssertionError(f"kagemusha ended with {code}:\n" + process.text()[-5000:])

    def kill(self):
        self.process.kill()

    def restart(self, **how):
        self.stop()
        return self.start(**how)

    def events(self, name):
        """The log's events of this name in the current run: a list of {key: text}."""
        found = []
        for line in self.process.text().splitlines():
            words = line.split(" ", 3)
            if len(words) >= 3 and words[2] == name:
                found.append(dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', words[3] if len(words) > 3 else "")))
        return found

    def wait_event(self, name, count=1, seconds=30):
        def look():
            if len(self.events(name)) >= count:
                return True
            if not self.process.running():
                raise AssertionError(f"kagemusha ended ({self.process.popen.returncode}):\n" + self.process.text()[-3000:])
            return False
        wait_for(look, seconds, f"event {name}")
        return self.events(name)[-1]

    def log(self):
        """All it ever wrote."""
        text = ""
        for run_number in range(1, self.runs + 1):
            with open(os.path.join(self.folder, f"log-{run_number}"), encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def metrics(self):
        """{name with labels: value} of the status port."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in
                (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}

    # Commands

    def command(self, *arguments, stdin="", seconds=60):
        if not os.path.exists(self.config_path):
            self.write_config()
        return run([program(), *arguments], stdin=stdin, seconds=seconds, cwd=self.folder)

    def apply(self, text, *arguments, suffix="toml", check=True, yes=True):
        path = self.space.write(f"{self.name}/routes.{suffix}", text)
        result = self.command("apply", "--config", self.config_path, *(arguments or ["--yes"] * yes), path)
        if check and result.returncode != 0:
            raise AssertionError(f"apply: {result.returncode}\n{result.stdout}\n{result.stderr}")
        return result

    def settle(self, address):
        """Waits until the serving process knows a public address that was just applied."""
        def known():
            before = b"PROXY UNKNOWN\r\n" if "proxy_protocol" in self.config["inbound"] else b""
            with smtp_client.Client(self.inbound, before=before) as client:
                client.ehlo()
                client.mail("probe@probe.test")
                return client.rcpt(address).code == 250
        wait_for(known, 20, f"{address} to be known")

    def forget(self, address, mailbox=None):
        more = ["--mailbox", mailbox] if mailbox else []
        return self.command("forget", "--config", self.config_path, "--address", address, *more, "--yes")

    def show(self, *arguments):
        return self.command("show", "--config", self.config_path, *arguments)

    def check(self, *arguments):
        return self.command("check", "--config", self.config_path, *arguments)

    def hash_password(self, password):
        result = self.command("hash-password", stdin=password + "\n")
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()
