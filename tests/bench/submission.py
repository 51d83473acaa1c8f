"""scripts/bench submission: Kagemusha and a relaying Postfix side by side.

CPU is that of the servers' processes only (user and system, from /proc/PID/stat, with what ended meanwhile), not of
the load generator, the sink or the kernel's interrupt work. Both write to the same disk.
"""

import argparse
import json
import os
import re
import sys

from common import end_at_signals, machine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from harness import smtp_client  # noqa: E402
from harness.gateway import Gateway, routes  # noqa: E402
from harness.mail import message  # noqa: E402
from harness.ports import accepts, free_port  # noqa: E402
from harness.postfix import Postfix  # noqa: E402
from harness.sink import Sink  # noqa: E402
from harness.waiting import wait_for  # noqa: E402
from harness.workspace import Process, Workspace, run, status_value  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 20
HEADER = """\
Received: from client.stranger.test (client.stranger.test [192.0.2.10])
\tby mx.stranger.test (Postfix) with ESMTPS id 4Zk2Jq1xYzz
\tfor <bench@school.example>; Thu, 01 Jan 2026 10:51:00 +0900
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=stranger.test; s=sel1;
\th=from:to:subject:date:message-id; bh=wcG6qQDED7uVgsizSifQBEZVv3YQnjo32VmWOLVWfCc=;
\tb=mGTXVdgUUh5kS3Ix6uL7ecI7Wf5dsofOKfo2ndum06j33ma+OS2gRB3AZcP9HC0UYV5hK7gvPg3iTCDAtD3i8c
From: =?utf-8?B?5bGx55Sw5aSq6YOO?= <sender%d@stranger.test>
To: <bench@school.example>
Cc: Somebody Else <other%d@elsewhere.test>
Subject: =?utf-8?B?5pel5puc44Gu5b6F44Gh5ZCI44KP44Gb?=
Date: Thu, 01 Jan 2026 10:51:00 +0900
Message-ID: <%i@stranger.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
X-Mailer: Example Mailer 1.0
"""
FAN_OUT = """\
From: Officer <officer@gmail.test>
To: undisclosed-recipients:;
Subject: to two hundred
Date: Thu, 01 Jan 2026 10:51:00 +0900
Message-ID: <%i@gmail.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
"""


def cpu(pids, parent):
    """User and system seconds of `pids`, and of the children that `parent` has already buried."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
        if pid == parent:
            total += int(fields[13]) + int(fields[14])
    return total / TICK


def peak(pids):
    """Sum of VmHWM in megabytes."""
    total = 0
    for pid in pids:
        try:
            total += status_value(pid, "VmHWM")
        except (OSError, KeyError):
            pass
    return total / 1024


def children(parent):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == parent:
                        found.append(int(name))
            except OSError:
                pass
    return found


class Bench:
    def __init__(self, space, arguments):
        self.space, self.arguments = space, arguments
        self.sink_port = free_port()
        self.sink = space.add(Process([arguments.load, "sink", str(self.sink_port)], space.join("sink.log")))
        wait_for(lambda: accepts(self.sink_port), 10, "the sink")
        self.postfix = Postfix(space, ["unused@unused.test"], extra=f"""
relayhost = [127.0.0.1]:{self.sink_port}
smtp_fallback_relay =
default_process_limit = 100
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 2000
{'' if not arguments.one_copy_each else 'smtp_destination_recipient_limit = 1'}
""").start()
        self.phantom_sink = Sink(space).start()
        hop = {"host": "127.0.0.1", "tls": "none"}
        self.gateway = Gateway(space, workers=0, server={"log_level": "info"}, inbound={
            "trusted": [{"name": "bench", "networks": ["127.0.0.1/32"]}]}, next_hop=[
                {"name": "sink", "domains": ["*"], "port": self.sink_port, **hop},
                {"name": "phantoms", "domains": ["gmail.test"], "port": self.phantom_sink.port, **hop}]).start()
        self.gateway.apply(routes({"bench@school.example": ["member@sink.test"],
                                   "pta@school.example": ["officer@gmail.test"]}))
        self.gateway.settle("pta@school.example")
        self.gateway_pid = self.gateway.process.pid

    def phantoms(self, count):
        cc = ",\n ".join(f"r{n}@stranger.test" for n in range(count))
        reply = smtp_client.send(self.gateway.inbound, "x@stranger.test", "pta@school.example",
                                 message("x@stranger.test", "pta@school.example", extra="Cc: " + cc))
        assert reply.code == 250, reply
        text = self.phantom_sink.messages[0].header.decode().split("Cc:", 1)[1]
        found = list(dict.fromkeys(re.findall(r"[0-9a-z]{16}@p\.school\.example", text)))[:count]
        assert len(found) == count, len(found)
        return found

    def load(self, port, messages, size, copies, sender, header, recipients):
        header_file = self.space.write("header", header.replace("\n", "\r\n"))
        recipients_file = self.space.write("recipients", "\n".join(recipients) + "\n")
        result = run([self.arguments.load, "send", str(port), str(self.sink_port), str(CONNECTIONS), str(messages), str(size),
                      str(copies), sender, header_file, recipients_file], seconds=900)
        if result.returncode != 0:
            raise SystemExit(f"load: {result.stdout}\n{result.stderr}\n{self.postfix.text()[-2000:]}\n"
                             + self.gateway.process.text()[-2000:])
        return json.loads(result.stdout)

    def measure(self, server, messages, size, copies, sender, header, recipients):
        if server == "postfix":
            port, parent, pids = self.postfix.port, self.postfix.pid, self.postfix.processes
        else:
            port, parent = self.gateway.inbound, self.gateway_pid
            pids = lambda: [parent, *children(parent)]
        load = lambda count: self.load(port, count, size, copies, sender, header, recipients)
        load(max(2, messages // 10))  # warm: processes started, connections made
        trips, waits = self.counter("round_trips"), self.counter("redis_waits")
        before, redis_before = cpu(pids(), parent), cpu(children(self.gateway_pid), 0)
        result = load(messages)
        result["cpu"] = (cpu(pids(), parent) - before) * 1000 / messages
        result["rate"] = messages / result["delivered_seconds"]
        result["memory"] = peak(pids())
        if server == "kagemusha":
            result["redis_cpu"] = (cpu(children(self.gateway_pid), 0) - redis_before) * 1000 / messages
            result["redis_memory"] = peak(children(self.gateway_pid))
            result["trips"] = (self.counter("round_trips") - trips) / messages
            result["waits"] = (self.counter("redis_waits") - waits) / messages
        return result

    def counter(self, name):
        return sum(v for k, v in self.gateway.metrics().items() if name in k)


ROWS = [("messages a second", "rate", "{:9.0f}"), ("CPU s for 1,000 messages", "cpu", "{:9.2f}"),
        ("  of which Redis", "redis_cpu", "{:9.2f}"), ("accepted, p50 ms", "accepted_p50", "{:9.1f}"),
        ("accepted, p99 ms", "accepted_p99", "{:9.1f}"), ("delivered, p50 ms", "delivered_p50", "{:9.1f}"),
        ("delivered, p99 ms", "delivered_p99", "{:9.1f}"), ("peak memory MB", "memory", "{:9.1f}"),
        ("  of which Redis", "redis_memory", "{:9.1f}"), ("Redis trips a message", "trips", "{:9.2f}"),
        ("  of which its answer waits for", "waits", "{:9.2f}")]


def table(title, kagemusha, postfix):
    print(f"\n{title:<44}{'kagemusha':>10}{'postfix':>10}{'ratio':>8}")
    for name, key, form in ROWS:
        if key in kagemusha:
            both = key in postfix and postfix[key]
            ratio = f"{kagemusha[key] / postfix[key]:8.3f}" if both else ""
            print(f"  {name:<42}{form.format(kagemusha[key]):>10}"
                  f"{form.format(postfix[key]) if key in postfix else '':>10}{ratio}", flush=True)


def main():
    end_at_signals()
    parser = argparse.ArgumentParser()
    parser.add_argument("--kagemusha", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    os.environ["KAGEMUSHA"] = os.path.abspath(arguments.kagemusha)
    arguments.load = os.path.abspath(arguments.load)
    part = 10 if arguments.quick else 1
    print(f"{machine()}; load generator and sink share them.\n"
          f"{CONNECTIONS} connections, plain SMTP on loopback. Kagemusha: one copy to one member, sender and Cc mapped to\n"
          "phantoms, embedded Redis with appendfsync always. Postfix: smtpd to smtp, its queue on the same disk.\n"
          "Memory of Postfix is the sum over its processes, shared pages counted in each.")
    numbers = {}
    sender = "sender%d@stranger.test"
    for title, count, size in (("4 kB", 5000 // part, 4 << 10), ("1 MB", 200 // part, 1 << 20)):
        results = {}
        for server in ("postfix", "kagemusha"):
            arguments.one_copy_each = False
            with Workspace("bench") as space:  # everything new for each: peak memory is that of this load
                bench = Bench(space, arguments)
                results[server] = bench.measure(server, count, size, 1, sender, HEADER, ["bench@school.example"])
        table(f"{title}, {count} messages", results["kagemusha"], results["postfix"])
        numbers[title] = results
    count, results = max(5, 50 // part), {}
    for server in ("postfix", "kagemusha"):
        arguments.one_copy_each = True
        with Workspace("bench") as space:
            bench = Bench(space, arguments)
            recipients = [f"r{n}@stranger.test" for n in range(200)] if server == "postfix" else bench.phantoms(200)
            results[server] = bench.measure(server, count, 4 << 10, 200, "officer@gmail.test", FAN_OUT, recipients)
    table(f"one 4 kB message to 200, {count} times (200 copies each)", results["kagemusha"], results["postfix"])
    numbers["200"] = results
    small, large = numbers["4 kB"]["kagemusha"], numbers["1 MB"]["kagemusha"]
    print(f"\nCPU for a 4 kB message: {small['cpu']:.2f} ms, {small['cpu'] / numbers['4 kB']['postfix']['cpu']:.1%} of Postfix's"
          f" (goal: 10 %). Memory at 1 MB: {large['memory'] / small['memory']:.2f} of that at 4 kB.")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(numbers, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
