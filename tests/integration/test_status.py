"""The status port: alive, ready, metrics (and nothing else)."""

import unittest
import urllib.error
import urllib.request

from harness.mail import message
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
