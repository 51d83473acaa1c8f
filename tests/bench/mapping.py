"""scripts/bench mapping: what phantoms and members cost in Redis and in time.

Phantoms are stored and looked up through the code that a node runs (tests/bench/mapping_load.cc), by one connection to one
redis-server that appends to a file and syncs it every second. Commands are the binary itself, with its memory as the kernel
counts it. Counts and bytes are facts; times are of this machine on this day.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time

from common import end_at_signals, machine

from harness.gateway import Gateway, program, routes
from harness.redis import Redis
from harness.workspace import Workspace, run

ADDRESS = "pta@school.example"
MOST = 200  # bytes of Redis a phantom may take


def spread(counts, per=4, **year):
    """A routes file of `counts` members, four behind each public address."""
    return routes({f"class{n}@school.example": [f"parent{n * per + i}.{year['year']}@gmail.com" for i in range(per)]
                   for n in range(counts // per)})


class Bench:
    def __init__(self, space, arguments):
        self.arguments = arguments
        self.redis = Redis(space, arguments=["--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]).start()
        self.gateway = Gateway(space, redis=self.redis)
        self.gateway.write_config()
        self.space = space

    def info(self, section):
        lines = self.redis.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def number(self, section, name):
        return int(self.info(section)[name])

    def calls(self):
        """{command: (calls, microseconds)} since the last RESETSTAT."""
        return {key[8:]: tuple(map(int, re.match(r"calls=(\d+),usec=(\d+)", value).groups()))
                for key, value in self.info("commandstats").items()}

    def load(self, *words):
        result = run([self.arguments.load, self.redis.socket, self.gateway.key_path, *map(str, words)], seconds=3000)
        if result.returncode != 0:
            raise SystemExit(f"mapping_load {words}: {result.stdout}{result.stderr}")
        return json.loads(result.stdout)

    def command(self, *words):
        """A command of the binary: what it printed with the seconds since its start, its time and its peak memory in kB."""
        begin = time.monotonic()
        process = subprocess.Popen([program(), words[0], "--config", self.gateway.config_path, *words[1:]],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.gateway.folder)
        lines = [(time.monotonic() - begin, line) for line in process.stdout]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{words}: {process.returncode}\n{''.join(line for _, line in lines)[-2000:]}")
        return lines, time.monotonic() - begin, usage.ru_maxrss

    def rows(self, members, year):
        return self.space.write(f"gateway/{year}.toml", spread(members, year=year))

    # What is measured

    def sizes(self):
        self.gateway.apply(routes({ADDRESS: ["officer@gmail.com"]}))
        results, stored = [], 0
        before = {"used": self.number("memory", "used_memory"), "rss": self.number("memory", "used_memory_rss"),
                  "aof": self.number("persistence", "aof_current_size")}
        for count in self.arguments.sizes:
            seeded = self.load("seed", ADDRESS, stored, count)
            stored = count
            row = {"phantoms": count, "store_trips": seeded["trips"], "stored_a_second": seeded["stored"] / seeded["seconds"]}
            row["bytes"] = (self.number("memory", "used_memory") - before["used"]) / count
            row["rss"] = (self.number("memory", "used_memory_rss") - before["rss"]) / count
            row["file"] = (self.number("persistence", "aof_current_size") - before["aof"]) / count
            times = 20_000 if self.arguments.quick else 100_000
            self.redis.call("CONFIG", "RESETSTAT")
            many = self.load("lookup", ADDRESS, count, times)
            calls, micros = self.calls()["get"]
            one = self.load("lookup", ADDRESS, count, times // 10, "one")
            row |= {"rate": many["rate"], "redis_us": micros / calls, "trips": one["trips"] / one["lookups"], "p50": one["p50"], "p99": one["p99"]}
            results.append(row)
        return results

    def apply(self):
        """A first year of 10,000 members, the same again, and a year of 10,000 others."""
        count = 1000 if self.arguments.quick else 10_000
        results = {"members": count}
        for title, year in (("first", "2026"), ("again", "2026"), ("others", "2027")):
            path = self.rows(count, year)
            results[title] = dict(zip(("seconds", "peak_kb"), self.command("apply", "--yes", path)[1:]))
        for title, year in (("first", "2028"), ("others", "2029")):
            results[title] |= {f"library_{k}": v for k, v in self.load("apply", count, year).items()}
        return results

    def forget(self):
        count = 10_000 if self.arguments.quick else 100_000
        results = {"phantoms": count}
        for title in ("binary", "library"):
            self.gateway.apply(routes({ADDRESS: ["officer@gmail.com"], "stays@school.example": ["stays@gmail.com"]}))
            self.load("seed", ADDRESS, 0, count)
            self.load("seed", "stays@school.example", 0, count)
            if title == "library":
                results |= self.load("forget", ADDRESS, "-")
                continue
            calm = self.load("lookup", "stays@school.example", count, 2000, "one")
            self.redis.call("CONFIG", "RESETSTAT")
            busy = subprocess.Popen([self.arguments.load, self.redis.socket, self.gateway.key_path, "lookup",
                                     "stays@school.example", str(count), "10000", "one"], stdout=subprocess.PIPE, text=True)
            lines, seconds, peak = self.command("forget", "--address", ADDRESS, "--yes")
            busy = json.loads(busy.communicate()[0])
            steps = self.calls()
            results |= {"dead": next(t for t, line in lines if "are dead" in line), "cleaned": seconds, "peak_kb": peak,
                        "calm_p99": calm["p99"], "busy_p99": busy["p99"], "calm_p50": calm["p50"], "busy_p50": busy["p50"],
                        "scan_us": steps["scan"][1] / steps["scan"][0], "unlink_us": steps["unlink"][1] / steps["unlink"][0]}
        return results


def print_sizes(rows):
    first = rows[0]
    print(f"\n{'phantoms':>12}{'bytes each':>12}{'RSS each':>10}{'file each':>11}{'lookups/s':>11}{'ratio':>7}"
          f"{'us in Redis':>13}{'ratio':>7}{'trips each':>12}{'p50 us':>8}{'p99 us':>8}")
    for row in rows:
        print(f"{row['phantoms']:>12,}{row['bytes']:>12.1f}{row['rss']:>10.1f}{row['file']:>11.1f}{row['rate']:>11,.0f}"
              f"{row['rate'] / first['rate']:>7.2f}{row['redis_us']:>13.2f}{row['redis_us'] / first['redis_us']:>7.2f}"
              f"{row['trips']:>12.2f}{row['p50']:>8.0f}{row['p99']:>8.0f}", flush=True)


def print_apply(results):
    print(f"\napply with {results['members']:,} members")
    for title, words in (("first", "none before"), ("again", "the same again"), ("others", "all of them others")):
        row = results[title]
        inside = (f"; inside: routes read in {row['library_load_seconds']:.2f} s, written in {row['library_apply_seconds']:.2f} s, "
                  f"{row['library_apply_trips']} round trip, counting what dies {row['library_count_trips']}"
                  if "library_load_seconds" in row else "")
        print(f"  {words:<20}{row['seconds']:6.2f} s, {row['peak_kb'] / 1024:5.1f} MB at most{inside}", flush=True)


def print_forget(results):
    print(f"\nforget with {results['phantoms']:,} phantoms, as many of others beside them\n"
          f"  dead after {results['dead']:.2f} s from the command's start (the step itself {results['dead_seconds'] * 1000:.1f} ms, "
          f"{results['dead_trips']} round trip)\n"
          f"  cleaned, files rewritten, after {results['cleaned']:.2f} s ({results['clean_trips']} round trips, "
          f"{results['deleted']:,} deleted), {results['peak_kb'] / 1024:.1f} MB at most\n"
          f"  a step: SCAN {results['scan_us']:.0f} us, UNLINK {results['unlink_us']:.1f} us each; another node's lookup meanwhile: "
          f"p50 {results['busy_p50'] / results['calm_p50']:.2f}, p99 {results['busy_p99'] / results['calm_p99']:.2f} of a calm one's")


def main():
    end_at_signals()
    parser = argparse.ArgumentParser()
    parser.add_argument("--kagemusha", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    os.environ["KAGEMUSHA"] = os.path.abspath(arguments.kagemusha)
    arguments.load = os.path.abspath(arguments.load)
    arguments.sizes = [10_000, 100_000] if arguments.quick else [10_000, 1_000_000] + [10_000_000] * arguments.full
    print(f"{machine()}; one redis-server, one connection on its Unix socket,\n"
          "append-only file synced every second. Addresses of 21 to 36 octets; a lookup reads the generation and one phantom and\n"
          "opens it, 64 of them side by side for the rate, one after the other for the rest. `bytes each`: used_memory, all told.")
    numbers = {}
    for part, show in (("sizes", print_sizes), ("apply", print_apply), ("forget", print_forget)):
        with Workspace("mapping") as space:
            numbers[part] = getattr(Bench(space, arguments), part)()
        show(numbers[part])
    worst = max(row["bytes"] for row in numbers["sizes"])
    slowest = max(row["redis_us"] for row in numbers["sizes"]) / numbers["sizes"][0]["redis_us"]
    print(f"\nA phantom takes {worst:.0f} bytes of Redis (goal: {MOST}); the costliest lookup takes {slowest:.2f} times the first "
          "size's in Redis.")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(numbers, file, indent=1)
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
