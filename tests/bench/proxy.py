"""scripts/bench proxy: nginx's mail module, Dovecot's proxy and Kagemusha side by side, to the same canned upstream.

TLS towards the client, plain towards the upstream. nginx and Dovecot pass octets; Kagemusha rewrites every header block.
CPU is that of the proxy's own processes (user and system, from the scheduler's counters, with what ended meanwhile),
Kagemusha's with its Redis. Each has one working process.
"""

import argparse
import json
import os
import subprocess
import sys
from statistics import median

from common import children, cpu, end_at_signals, machine, processes

from harness.certificates import Authority
from harness.gateway import Gateway, routes
from harness.ports import accepts, free_port
from harness.waiting import wait_for
from harness.workspace import Process, Workspace, run

LOGIN = "bench@provider.test"
SENDERS = 5000
NGINX = """\
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {base}/pid;
error_log {base}/error warn;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_body_temp_path {base}/t1; proxy_temp_path {base}/t2; fastcgi_temp_path {base}/t3;
  uwsgi_temp_path {base}/t4; scgi_temp_path {base}/t5;
  server {{
    listen 127.0.0.1:{auth};
    location / {{
      add_header Auth-Status OK;
      add_header Auth-Server 127.0.0.1;
      add_header Auth-Port {upstream};
      return 204;
    }}
  }}
}}
mail {{
  auth_http 127.0.0.1:{auth}/;
  imap_capabilities IMAP4rev1 IDLE NAMESPACE UIDPLUS;
  server {{
    listen 127.0.0.1:{port} ssl;
    protocol imap;
    timeout 1h;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
  }}
}}
"""
# The "high-performance mode" of its documentation: one process for all logins.
DOVECOT = """\
base_dir = {base}/run
state_dir = {base}/run
instance_name = {base}
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = plain login
passdb {{
  driver = static
  args = proxy=y host=127.0.0.1 port={upstream} nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/tmp
}}
default_client_limit = 20000
service imap-login {{
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 20000
  vsz_limit = 0
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service auth {{
  client_limit = 40000
}}
service anvil {{
  client_limit = 40000
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
auth_failure_delay = 0
"""


def memory(parent):
    """(PSS, RSS) in kilobytes of a server's processes."""
    pss = rss = 0
    for pid in processes(parent):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                values = dict(line.split()[:2] for line in file if line.startswith(("Rss:", "Pss:")))
        except OSError:
            continue
        pss += int(values.get("Pss:", 0))
        rss += int(values.get("Rss:", 0))
    return pss, rss


class Peer:
    """nginx or Dovecot."""

    def __init__(self, space, name, argv, conf, certificate, upstream):
        self.base, self.port = space.folder(name), free_port()
        space.folder(name, "run")
        path = space.write(f"{name}/conf", conf.format(base=self.base, port=self.port, auth=free_port(), upstream=upstream,
                                                       certificate=certificate[0], key=certificate[1]))
        self.process = space.add(Process([*argv, path], os.path.join(self.base, "out")))
        self.pid = self.process.pid
        wait_for(lambda: accepts(self.port), 20, name)


class Kagemusha:
    def __init__(self, space, certificate, upstream):
        self.port = free_port()
        self.gateway = Gateway(space, next_hop_port=free_port(), certificate=certificate, server={"log_level": "info"}, provider=[
            {"name": "provider", "domains": ["provider.test"], "host": "127.0.0.1", "imap_host": "127.0.0.1",
             "imap_port": upstream, "imap_tls": "none"}])
        self.gateway.config["listen"].append({"face": "imaps", "address": "127.0.0.1", "port": self.port})
        self.gateway.start()
        self.gateway.apply(routes({"pta@school.example": [LOGIN]}))
        self.gateway.settle("pta@school.example")
        self.pid = self.gateway.process.pid

    def redis(self):
        return children(self.pid)


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.part = 10 if arguments.quick else 1
        self.rounds = arguments.rounds or (1 if arguments.quick else 3)

    def server(self, space, name, upstream):
        certificate = Authority(space).issue("localhost", "127.0.0.1", file="proxy")
        if name == "nginx":
            return Peer(space, name, ["nginx", "-e", space.join("early"), "-c"], NGINX, certificate, upstream)
        if name == "dovecot":
            return Peer(space, name, ["dovecot", "-F", "-c"], DOVECOT, certificate, upstream)
        return Kagemusha(space, certificate, upstream)

    def measure(self, names):
        """{server: {number: one for each round}}: each part of each round with new servers, one after the other, so that what
        changes on the machine meanwhile meets all of them."""
        numbers = {name: {} for name in names}
        for part in (self.small, self.large, self.sync, self.sessions):
            for number in range(self.rounds):
                for name in names:
                    if sys.stderr.isatty():
                        print(f"\r\033[K{part.__name__}, round {number + 1} of {self.rounds}: {name}", end="", file=sys.stderr)
                    with Workspace("proxy") as space:
                        port = free_port()
                        space.add(Process([self.arguments.upstream, str(port), str(SENDERS)], space.join("upstream")))
                        wait_for(lambda: accepts(port), 10, "the upstream")
                        for key, value in part(self.server(space, name, port)).items():
                            numbers[name].setdefault(key, []).append(value)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        return numbers

    def fetch(self, server, mailbox, command):
        """One FETCH; its result and the CPU seconds that it took the server."""
        before, redis = cpu(server.pid), self.redis_cpu(server)
        result = run([self.arguments.load, "fetch", str(server.port), LOGIN, mailbox, command], seconds=900)
        if result.returncode != 0:
            raise SystemExit(f"{result.stdout}{result.stderr}")
        return json.loads(result.stdout) | {"cpu": cpu(server.pid) - before, "redis": self.redis_cpu(server) - redis}

    @staticmethod
    def redis_cpu(server):
        return sum(cpu(pid) for pid in server.redis()) if isinstance(server, Kagemusha) else 0

    def download(self, server, key, count, size):
        """A mailbox is read as clients do that keep all mail; then once more, as another device."""
        command = "UID FETCH 1:* (UID FLAGS BODY.PEEK[])"
        numbers = {}
        for again in ("", " again"):
            got = self.fetch(server, f"S{count}.{size}", command)
            if got["messages"] != count or got["octets"] < count * size:
                raise SystemExit(f"{count} messages of {size} wanted: {got}")
            gigabytes = got["octets"] / 1e9
            numbers |= {key + again: got["cpu"] / gigabytes, key + again + " redis": got["redis"] / gigabytes,
                        key + again + " rate": got["octets"] / 1e6 / got["seconds"]}
        return numbers

    def small(self, server):
        return self.download(server, "10 kB", 100000 // self.part, 10 << 10)

    def large(self, server):
        return self.download(server, "1 MB", 1000 // self.part, 1 << 20)

    def sync(self, server):
        count, numbers = 100000 // self.part, {}
        for again in ("", " again"):
            got = self.fetch(server, f"S{count}.10240", "FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE)")
            if got["messages"] != count:
                raise SystemExit(f"{count} messages wanted: {got}")
            numbers |= {"sync" + again: got["cpu"], "sync" + again + " redis": got["redis"],
                        "sync" + again + " seconds": got["seconds"], "sync octets": got["octets"]}
        if isinstance(server, Kagemusha):
            # The part of it that no rewriting can leave out (contract R4.6).
            numbers["sync ids"] = json.loads(run([self.arguments.seal, str(count)]).stdout)["cpu"]
        else:
            # What a message's visible header is made of, passed as it is.
            got = self.fetch(server, f"S{count}.10240", "FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE BODY.PEEK[HEADER])")
            numbers["sync with headers"] = got["cpu"]
        return numbers

    def sessions(self, server):
        count = 4000 // self.part
        load = [self.arguments.load, "sessions", str(server.port), LOGIN]
        warm = run([*load, "20"], stdin="select\nend\n")
        if warm.returncode != 0:
            raise SystemExit(f"{warm.stdout}{warm.stderr}")
        (pss, rss), before = memory(server.pid), cpu(server.pid)
        client = subprocess.Popen([*load, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if not client.stdout.readline():
                raise SystemExit("the sessions could not be opened")
            numbers = {"login": (cpu(server.pid) - before) / count * 1e3}
            numbers |= self.each("after login", server, pss, rss, count)
            client.stdin.write("select\n")
            client.stdin.flush()
            if client.stdout.readline() != "done\n":
                raise SystemExit("a mailbox could not be selected")
            return numbers | self.each("after SELECT", server, pss, rss, count)
        finally:
            client.kill()
            client.wait()

    @staticmethod
    def each(when, server, pss, rss, count):
        now = memory(server.pid)
        return {f"PSS {when}": (now[0] - pss) / count, f"RSS {when}": (now[1] - rss) / count}


ROWS = [("10 kB messages: CPU s a GB", "10 kB", "{:.2f}"), ("  of which Redis", "10 kB redis", "{:.2f}"),
        ("  MB a second", "10 kB rate", "{:.0f}"), ("  again: CPU s a GB", "10 kB again", "{:.2f}"),
        ("1 MB messages: CPU s a GB", "1 MB", "{:.2f}"), ("  MB a second", "1 MB rate", "{:.0f}"),
        ("  again: CPU s a GB", "1 MB again", "{:.2f}"),
        ("header sync: CPU s", "sync", "{:.3f}"), ("  of which Redis", "sync redis", "{:.3f}"),
        ("  seconds", "sync seconds", "{:.2f}"), ("  again: CPU s", "sync again", "{:.3f}"),
        ("  with all headers: CPU s", "sync with headers", "{:.3f}"),
        ("  only to seal its ids: CPU s", "sync ids", "{:.3f}"),
        ("login: CPU ms", "login", "{:.2f}"),
        ("idle after login: kB PSS", "PSS after login", "{:.1f}"), ("  kB RSS", "RSS after login", "{:.1f}"),
        ("idle after SELECT: kB PSS", "PSS after SELECT", "{:.1f}"), ("  kB RSS", "RSS after SELECT", "{:.1f}")]


def table(numbers):
    """Medians of the rounds, and the medians of each round's ratios."""
    names = list(numbers)
    ours = "kagemusha" if "kagemusha" in names else names[-1]
    others = [name for name in names if name != ours]
    print("\n" + " " * 32 + "".join(f"{name:>11}" for name in names)
          + "".join(f"{'/ ' + name:>11}" for name in others))
    for title, key, form in ROWS:
        values = [median(numbers[name][key]) if key in numbers[name] else 0 for name in names]
        if not any(values):
            continue
        mine = numbers[ours].get(key, numbers[ours]["sync"] if key == "sync with headers" else [])
        ratios = []
        for name in others:
            theirs = numbers[name].get("sync" if key == "sync ids" else key, [])
            ratios.append(median(m / t for m, t in zip(mine, theirs)) if mine and theirs and all(theirs) else 0)
        print(f"{title:<32}" + "".join(f"{form.format(value):>11}" for value in values)
              + "".join(f"{ratio:>11.2f}" if ratio else " " * 11 for ratio in ratios), flush=True)


def main():
    end_at_signals()
    parser = argparse.ArgumentParser()
    parser.add_argument("--kagemusha", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--seal", required=True)
    parser.add_argument("--only", default="nginx,dovecot,kagemusha")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    os.environ["KAGEMUSHA"] = os.path.abspath(arguments.kagemusha)
    arguments.load, arguments.upstream = os.path.abspath(arguments.load), os.path.abspath(arguments.upstream)
    bench = Bench(arguments)
    print(f"{machine()}; client and upstream share them.\n"
          "TLS 1.3 (AES-256-GCM, P-256) towards one client on loopback, plain towards the upstream. Headers of 4 kB, from\n"
          f"{SENDERS} senders with another address in Cc each. The first reading meets them all for the first time; `again`\n"
          "is another session later. nginx and Dovecot pass octets, Kagemusha rewrites, its Redis syncs every write.\n"
          f"Medians of {bench.rounds} rounds, and of each round's ratios.\n"
          f"Memory: of each of {4000 // bench.part} sessions, kernel buffers not counted. nginx' login holds a request to its auth_http.\n"
          "In a header sync Kagemusha asks for the fields of each message that decide how it reads. Its last rows: nginx and Dovecot\n"
          "passing whole header blocks too; the sealing of the two ids in each ENVELOPE alone, compared with passing the ENVELOPEs.")
    numbers = bench.measure(arguments.only.split(","))
    table(numbers)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(numbers, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
