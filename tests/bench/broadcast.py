"""scripts/bench broadcast: one submission to many phantoms, and what a crash in the middle of it costs.

CPU is that of kagemusha and its redis-server only. With --crash the gateway is killed (kill -9) at points of progress,
started again, and the client tries again; the dead process' lock, which would expire after two minutes, is deleted at
once.
"""

import argparse
import json
import os
import ssl
import sys
import time

from common import cpu, end_at_signals, learn_phantoms, machine

from harness import smtp_client
from harness.certificates import Authority
from harness.crash import broadcast_with_crash
from harness.gateway import Gateway, member, routes
from harness.mail import message
from harness.ports import accepts, free_port
from harness.redis import Redis
from harness.sink import Sink
from harness.waiting import wait_for
from harness.workspace import Process, Workspace

PUBLIC, OFFICER, PASSWORD = "pta@school.example", "officer@gmail.test", "correct horse"
BODY = "Dear parents,\r\n" + "the sports day is on Sunday, at nine. Bring hats and something to drink.\r\n" * 50


class Bench:
    def __init__(self, space, arguments):
        self.space = space
        # Phantoms are read from the officer's copy here; broadcasts go to `sink_port`.
        self.officer_sink = Sink(space).start()
        if arguments.crash:
            self.sink = Sink(space).start()
            sink_port = self.sink.port
        else:
            sink_port = free_port()
            space.add(Process([arguments.load, "sink", str(sink_port)], space.join("sink.log")))
            wait_for(lambda: accepts(sink_port), 10, "the sink")
        authority = Authority(space)
        self.tls = authority.client_context()
        self.redis = Redis(space).start()
        hop = {"host": "127.0.0.1", "tls": "none"}
        self.gateway = Gateway(space, redis=self.redis, certificate=authority.issue("mx.school.example", "127.0.0.1"), workers=0,
                               server={"log_level": "info"}, next_hop=[
                                   {"name": "parents", "domains": ["*"], "port": sink_port, **hop},
                                   {"name": "officer", "domains": ["gmail.test"], "port": self.officer_sink.port, **hop}]).start()
        self.gateway.apply(routes({PUBLIC: [member(OFFICER, password_hash=self.gateway.hash_password(PASSWORD))]}))
        self.gateway.settle(PUBLIC)
        self.parents = [f"r{n}@home.test" for n in range(arguments.phantoms)]
        self.phantoms = learn_phantoms(self.gateway, self.officer_sink, PUBLIC, "x@home.test", self.parents)

    def submit(self, name, to):
        text = message(f"Officer <{OFFICER}>", to, "To all parents", BODY, message_id=f"{name}@gmail.test")
        return smtp_client.submit(self.gateway.submission, self.tls, OFFICER, PASSWORD, OFFICER, self.phantoms, text)

    def measure(self, how, runs):
        to = "undisclosed-recipients:;" if how == "Bcc" else ",\r\n ".join(self.phantoms)
        reply = self.submit(f"warm-{how}", to)
        assert reply.code == 250, reply
        pids = self.gateway.process.pid, self.redis.process.pid
        took, used = [], []
        for number in range(runs):
            before, began = sum(map(cpu, pids)), time.monotonic()
            reply = self.submit(f"{how}-{number}", to)
            took.append(time.monotonic() - began)
            assert reply.code == 250, reply
            used.append(sum(map(cpu, pids)) - before)
        count = len(self.phantoms)
        return {"recipients in": how, "copies": count, "seconds": round(sorted(took)[runs // 2], 3),
                "copies a second": round(count / sorted(took)[runs // 2]),
                "CPU seconds for 1,000 copies": round(sum(used) / runs * 1000 / count, 3)}

    def crash(self, points):
        def submit(name):
            try:
                return self.submit(name, "undisclosed-recipients:;")
            except (OSError, ssl.SSLError):
                return None
        totals = {"points": points, "phantoms": len(self.phantoms), "missing": 0, "three or more": 0, "second copies": 0,
                  "points with a second copy": 0, "most second copies at a point": 0, "most open connections": 0,
                  "points above one copy for each open connection": 0}
        for number in range(points):
            at = 1 + number * (len(self.phantoms) - 2) // points
            counts, open_connections = broadcast_with_crash(self.gateway, self.redis, self.sink,
                                                            lambda: submit(f"crash-{number}"), self.parents, at)
            more = sum(counts.values()) - len(self.parents)
            totals["missing"] += sum(c == 0 for c in counts.values())
            totals["three or more"] += sum(c > 2 for c in counts.values())
            totals["second copies"] += more
            totals["points with a second copy"] += more > 0
            totals["most second copies at a point"] = max(totals["most second copies at a point"], more)
            totals["most open connections"] = max(totals["most open connections"], open_connections)
            totals["points above one copy for each open connection"] += more > open_connections
            print(f"\r{number + 1} of {points} points", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return totals


def main():
    end_at_signals()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kagemusha", required=True)
    parser.add_argument("--load", help="smtp_load, whose sink takes the copies")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--crash", action="store_true")
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--phantoms", type=int)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    os.environ["KAGEMUSHA"] = arguments.kagemusha
    if arguments.quick:
        arguments.points = max(1, arguments.points // 10)
    arguments.phantoms = arguments.phantoms or (100 if arguments.crash or arguments.quick else 1000)
    space = Workspace("bench-broadcast")
    try:
        bench = Bench(space, arguments)
        results = [bench.crash(arguments.points)] if arguments.crash else [
            bench.measure(how, 2 if arguments.quick else 5) for how in ("Bcc", "To")]
    except BaseException:
        space.keep = True
        raise
    finally:
        space.close()
    print(f"{machine()}")
    for result in results:
        print("  " + ", ".join(f"{name}: {value}" for name, value in result.items()))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)
    broken = any(r.get("missing") or r.get("three or more") or r.get("points above one copy for each open connection")
                 for r in results)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
