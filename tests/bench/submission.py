"""scripts/bench submission: Kagemusha and a relaying Postfix side by side.

CPU is that of the servers' processes only (user and system, from the scheduler's counters, with what ended meanwhile), not of
the load generator, the sink or the kernel's interrupt work. Both write to the same disk.
"""

import argparse
import json
import os
import sys

from common import children, cpu, end_at_signals, learn_phantoms, machine, processes

from harness.gateway import Gateway, routes
from harness.ports import accepts, free_port
from harness.postfix import Postfix
from harness.sink import Sink
from harness.waiting import wait_for
from harness.workspace import Process, Workspace, run, status_value

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


def peak(pids):
    """Sum of VmHWM in megabytes."""
    total = 0
    for pid in pids:
        try:
            total += status_value(pid, "VmHWM")
        except (OSError, KeyError):
            pass
    return total / 1024


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
        return learn_phantoms(self.gateway, self.phantom_sink, "pta@school.example", "x@stranger.test",
                              [f"r{n}@stranger.test" for n in range(count)])

    def redis(self):
        return children(self.gateway_pid)

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
        port, parent = ((self.postfix.port, self.postfix.pid) if server == "postfix" else
                        (self.gateway.inbound, self.gateway_pid))
        load = lambda count: self.load(port, count, size, copies, sender, header, recipients)
        load(max(2, messages // 10))  # warm: processes started, connections made
        trips, waits = self.counter("round_trips"), self.counter("redis_waits")
        before, redis_before = cpu(parent), sum(map(cpu, self.redis()))
        result = load(messages)
        result["cpu"] = (cpu(parent) - before) * 1000 / messages
        result["rate"] = messages / result["delivered_seconds"]
        result["memory"] = peak(processes(parent))
        if server == "kagemusha":
            result["redis_cpu"] = (sum(map(cpu, self.redis())) - redis_before) * 1000 / messages
            result["redis_memory"] = peak(self.redis())
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
