"""The status port: alive, ready, metrics (and nothing else)."""

import os
import re
import threading
import unittest
import urllib.error
import urllib.request

from harness.gateway import ROOT
from harness.mail import address, message
from harness.redis import Redis
from harness.small import PUBLIC, STRANGER, Small
from harness.waiting import wait_for


class Status(Small):
    @classmethod
    def make_redis(cls, space):
        cls.redis = Redis(space).start()
        return cls.redis

    def get(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.gateway.http}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def test_alive_and_ready(self):
        self.assertEqual(self.get("/healthz"), 200)
        self.assertEqual(self.get("/readyz"), 200)
        self.assertEqual(self.get("/nothing"), 404)
        self.assertEqual(self.get("/metrics", method="DELETE"), 405)

    def test_ready_follows_redis(self):
        self.redis.kill()
        wait_for(lambda: self.get("/readyz") == 503, 20, "not ready")
        self.assertEqual(self.get("/healthz"), 200)
        self.redis.start()
        wait_for(lambda: self.get("/readyz") == 200, 20, "ready again")

    def test_messages_are_counted(self):
        before = self.gateway.metrics()
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        after = self.gateway.metrics()
        grown = {k for k in after if after[k] > before.get(k, 0)}
        for what in ("accepted", "delivered", "round_trips"):
            self.assertTrue([k for k in grown if what in k], f"{what}: {grown}")


SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\\n]*",?)+)\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)')


def parse(text):
    """Prometheus text format 0.0.4, strictly: ({name: type}, {(name, labels): value})."""
    types, samples = {}, {}
    name = None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in types and len(line.split(" ", 3)[3]) > 10, line
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == name, line  # each has its help before it, once
            types[name] = line.split(" ")[3]
            assert types[name] in ("counter", "gauge", "histogram"), line
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            base = found[1] if types[name] != "histogram" else re.sub("_(bucket|sum|count)$", "", found[1])
            assert base == name, line  # all of one name stand together
            key = (found[1], found[2] or "")
            assert key not in samples, line
            samples[key] = float(found[3])
    return types, samples


def check_histograms(types, samples):
    """Buckets grow to the one without a bound, which is the count."""
    for name in (n for n, kind in types.items() if kind == "histogram"):
        series = {}
        for (sample, labels), value in samples.items():
            if sample == name + "_bucket":
                rest, bound = re.fullmatch(r'(.*?),?le="([^"]+)"', labels).groups()
                series.setdefault(rest, []).append((float(bound.replace("+Inf", "inf")), value))
        assert series, name
        for rest, buckets in series.items():
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), (name, rest)
            assert [v for _, v in buckets] == sorted(v for _, v in buckets), (name, rest)
            assert buckets[-1][1] == samples[(name + "_count", rest)], (name, rest)
            assert samples[(name + "_sum", rest)] >= 0


class Numbers(Small):
    """What the status port tells while mail crosses: well-formed, growing, and nobody's name."""

    members = ("canarymember@canaryprovider.test",)
    settings = {"display_name": "Canarydisplay", "anonymize": "prefix"}
    workers = 2
    CANARY = re.compile("canary|school|stranger|[0-9a-z]{16}@", re.I)

    def scrape(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.http}/metrics", timeout=10) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
            return answer.read().decode()

    def status(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.http}{path}", timeout=10) as answer:
            return answer.read().decode()

    def test_scrapes_during_traffic(self):
        texts, ended = [], threading.Event()

        def scrape():
            while not ended.is_set() and len(texts) < 12:
                texts.append(self.scrape())
        scraper = threading.Thread(target=scrape)
        first = self.scrape()
        scraper.start()
        try:
            for number in range(20):
                stranger = f"canary{number}@canarystranger.test"
                subject = "184 canarysubject" if number % 2 else "canarysubject"
                self.assertReply(self.inbound(message(stranger, PUBLIC, subject), sender=stranger), 250)
            phantom = address(self.copies(20)[1].data)
            self.assertReply(self.submit(self.members[0], phantom, message(self.members[0], phantom)), 250)
            self.assertReply(self.plain_reply(self.members[0], phantom, message(self.members[0], phantom)), 250)
            self.assertReply(self.inbound(message(STRANGER, "canary@elsewhere.test"), to="canary@elsewhere.test"), 550)
            self.assertReply(self.inbound(message(STRANGER, PUBLIC), to="canarynobody@school.example"), 550)
        finally:
            ended.set()
            scraper.join()
        texts.append(self.scrape())
        before = None
        for text in [first, *texts]:
            self.assertEqual(self.CANARY.findall(text), [])
            types, samples = parse(text)
            check_histograms(types, samples)
            for key, value in (before or {}).items():
                if types.get(re.sub("_(bucket|sum|count)$", "", key[0]), types.get(key[0])) != "gauge":
                    self.assertGreaterEqual(samples[key], value, key)
            before = samples
        self.assertGreater(len(texts), 2)
        old = parse(first)[1]

        def grown(name, labels=""):
            return samples[(name, labels)] - old[(name, labels)]
        self.assertEqual(grown("kagemusha_crossed_total", 'way="inward"'), 20)
        self.assertEqual(grown("kagemusha_crossed_total", 'way="plain reply"'), 1)
        self.assertEqual(grown("kagemusha_crossed_total", 'way="submission"'), 1)
        self.assertEqual(grown("kagemusha_authors_total", 'shown="no",rule="184"'), 10)
        self.assertEqual(grown("kagemusha_authors_total", 'shown="yes",rule="no 184"'), 10)
        self.assertGreaterEqual(grown("kagemusha_message_seconds_count", 'face="inbound"'), 21)
        self.assertGreater(grown("kagemusha_redis_seconds_count"), 22)
        refused = sum(value - old[key] for key, value in samples.items() if key[0] == "kagemusha_refusals_total")
        self.assertEqual(refused, 2)
        self.assertEqual(samples[("kagemusha_ready", "")], 1)
        self.assertEqual(samples[("kagemusha_routes_members", "")], 1)
        self.assertGreater(samples[("kagemusha_cache_entries", 'cache="phantoms stored"')], 0)
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.CANARY.findall(self.status(path)), [])

    def test_every_metric_is_in_the_documentation(self):
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as file:
            page = file.read()
        types, samples = parse(self.scrape())
        for name, kind in types.items():
            self.assertIn(f"| `{name}` | {kind} |", page)
        for (name, labels), _ in samples.items():
            if labels and "le=" not in labels:
                self.assertIn(f"`{labels}`", page, name)
        self.assertEqual(set(re.findall(r"^\| `(kagemusha_\w+)`", page, re.M)), set(types))


if __name__ == "__main__":
    unittest.main(verbosity=2)
