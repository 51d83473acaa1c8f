"""PROXY protocol v1 and v2 from named peers: who the client is, is what the balancer says; from others it is nothing."""

import socket
import struct
import unittest

from harness import smtp_client
from harness.mail import address, message
from harness.small import OFFICER, PUBLIC, STRANGER, Small, front_fields

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, family="TCP4", destination="127.0.0.1"):
    return f"PROXY {family} {source} {destination} 40000 25\r\n".encode()


def v2(source, command=1, extra=b""):
    if ":" in source:
        family, addresses = 0x21, socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::1")
    else:
        family, addresses = 0x11, socket.inet_aton(source) + socket.inet_aton("127.0.0.1")
    payload = addresses + struct.pack(">HH", 40000, 25) + extra
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(payload)) + payload


class Proxy(Small):
    # 127.0.0.1 is the balancer, 127.0.0.3 is not; the mail system in front is known by the address in the PROXY header.
    config = {"inbound": {"proxy_protocol": ["127.0.0.1/32"], "fronts": ["192.0.2.7/32", "2001:db8::7/128"]}}

    def send(self, header, text=None, to=PUBLIC, sender=STRANGER, **options):
        return smtp_client.send(self.gateway.inbound, sender, to, text or message(STRANGER, PUBLIC), before=header, **options)

    def test_the_client_is_who_the_header_names(self):
        self.assertReply(self.send(v1("192.0.2.1")), 250)
        phantom = address(self.copy_for(OFFICER, self.copies(2)).data)
        reply = front_fields(OFFICER) + message(OFFICER, phantom)
        for header, code in ((v1("192.0.2.7"), 250), (v1("192.0.2.8"), 550), (v2("192.0.2.7"), 250),
                             (v2("192.0.2.8"), 550), (v2("2001:db8::7"), 250), (v1("2001:db8::7", "TCP6", "::1"), 250),
                             (v2("192.0.2.7", extra=b"\x04\x00\x03abc"), 250),
                             # LOCAL is the balancer itself, which is no front.
                             (v2("192.0.2.7", command=0), 550)):
            with self.subTest(header=header):
                self.assertReply(self.send(header, reply, phantom, OFFICER), code)
                self.sink.clear()

    def test_what_is_no_header_is_hung_up_on(self):
        for header in (b"EHLO x\r\n", b"PROXY TCP4 300.1.1.1 1.1.1.1 1 1\r\n", b"PROXY " + b"x" * 200 + b"\r\n",
                       b"PROXY TCP4 1.1.1.1\r\n", SIGNATURE + b"\x31\x11\x00\x0c" + b"\0" * 12,
                       SIGNATURE + b"\x21\x11\x00\x02\0\0", SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 70000):
            with self.subTest(header=header[:30]), smtp_client.Client(self.gateway.inbound, greet=False) as client:
                client.try_send(header)
                self.assertIsNone(client.line())

    def test_cut_at_every_octet(self):
        for header in (v1("192.0.2.1"), v2("192.0.2.1")):
            with smtp_client.Client(self.gateway.inbound, greet=False) as client:
                for octet in header:
                    client.send(bytes([octet]))
                self.assertReply(client.reply(), 220)

    def test_from_a_peer_that_is_not_named_it_is_nothing(self):
        with smtp_client.Client(self.gateway.inbound, source="127.0.0.3") as client:
            self.assertReply(client.greeting, 220)
            self.assertReply(client.command(v1("192.0.2.7")[:-2]), 500)


if __name__ == "__main__":
    unittest.main(verbosity=2)
