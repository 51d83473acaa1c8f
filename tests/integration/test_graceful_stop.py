"""SIGTERM: what is in flight is finished, within a bound; nothing new begins."""

import os
import signal
import threading
import unittest

from harness.mail import message
from harness.small import PUBLIC, STRANGER, Small
from harness.smtp_client import Client
from harness.waiting import wait_for


class Stop(Small):
    workers = 2
    config = {"server": {"stop_timeout": "4s"}}

    def setUp(self):
        super().setUp()
        if not self.gateway.process.running():
            self.gateway.start()

    def tearDown(self):
        pass  # these tests end the process themselves

    def begin(self, subject="in flight"):
        client = Client(self.gateway.inbound)
        client.ehlo()
        client.pipeline(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{PUBLIC}>")
        self.assertReply(client.command("DATA"), 354)
        client.send(message(STRANGER, PUBLIC, subject))
        return client

    def test_a_transaction_in_flight_is_finished(self):
        idle = Client(self.gateway.inbound)
        client = self.begin()
        self.gateway.process.send(signal.SIGTERM)
        self.assertReply(idle.reply(), 421)
        self.assertTrue(idle.closed())
        client.send(b"the rest\r\n.\r\n")
        self.assertReply(client.reply(), 250)
        self.assertEqual(self.gateway.process.wait(), 0)
        self.assertEqual(len(self.sink.messages), 2)
        self.assertTrue(self.gateway.events("stopped"))
        self.assertFalse(self.redis_left())

    def redis_left(self):
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as file:
                        line = file.read()
                except OSError:
                    continue
                if b"redis-server" in line and self.gateway.state.encode() in line:
                    return True
        return False

    def test_one_that_never_ends_is_cut_off(self):
        client = self.begin()
        self.gateway.process.send(signal.SIGTERM)
        self.assertEqual(self.gateway.process.wait(20), 0)
        client.try_send(b".\r\n")
        self.assertIn(client.reply().code, (421, 451, None))
        self.assertEqual(self.sink.messages, [])
        wait_for(lambda: not self.redis_left(), 10, "the embedded Redis to end")

    def test_a_stop_says_nothing_of_redis(self):
        # An init system may end all processes of a service at once.
        client = self.begin("never ends")
        told = len(self.gateway.events("mapping.not_ready"))
        redis = self.gateway.wait_event("redis.started")["pid"]
        self.gateway.process.send(signal.SIGTERM)
        self.gateway.wait_event("stopping")
        os.kill(int(redis), signal.SIGSTOP)
        try:
            self.assertEqual(self.gateway.process.wait(30), 0)
        finally:
            client.close()
        self.assertEqual(len(self.gateway.events("mapping.not_ready")), told)

    def test_interrupt_is_the_same(self):
        self.gateway.process.send(signal.SIGINT)
        self.assertEqual(self.gateway.process.wait(), 0)

    def test_mail_that_arrives_all_the_while(self):
        # Senders retry what got no 250: in the end each has been delivered exactly once to each member.
        codes = {}

        def sender(number):
            text = message(STRANGER, PUBLIC, f"n{number}", message_id=f"n{number}@stranger.test")

            def delivered():
                try:
                    return self.inbound(text).code == 250
                except OSError:
                    return False
            wait_for(delivered, 30, "delivery")
            codes[number] = 250
        threads = [threading.Thread(target=sender, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        self.gateway.restart()
        for thread in threads:
            thread.join()
        self.assertEqual(len(codes), 20)
        self.assertEqual(len(self.sink.messages), 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
