"""TLS on the gateway's faces: versions, names, resumption, and new certificates without a lost connection."""

import os
import shutil
import signal
import ssl
import time
import unittest

from harness import certificates
from harness.mail import message
from harness.small import OFFICER, PUBLIC, STRANGER, Small
from harness.smtp_client import Client
from harness.waiting import wait_for
from harness.workspace import run


class Tls(Small):
    @classmethod
    def configure(cls):
        cls.second = cls.authority.issue("mx.club.example")
        cls.gateway.config["tls"]["certificate"].append({"certificate": cls.second[0], "key": cls.second[1]})
        cls.gateway.config["listen"].append({"face": "inbound", "address": "127.0.0.1", "port": 0})

    def presented(self, name="mx.school.example", port=None):
        """Serial number of the certificate that a new connection sees."""
        with Client(port or self.gateway.submissions, tls=self.authority.client_context(verify=False),
                    server_name=name) as client:
            der = client.socket.getpeercert(binary_form=True)
        path = self.space.write("presented.pem", ssl.DER_cert_to_PEM_cert(der))
        return certificates.serial(path)

    def test_every_face(self):
        for port, tls in ((self.gateway.inbound, None), (self.gateway.submission, None), (self.gateway.submissions, self.tls)):
            with Client(port, tls=tls) as client:
                client.ehlo()
                if not tls:
                    self.assertIn("STARTTLS", client.extensions)
                    self.assertReply(client.starttls(self.tls), 220)
                    client.ehlo()
                self.assertNotIn("STARTTLS", client.extensions)
                self.assertIn(client.socket.version(), ("TLSv1.2", "TLSv1.3"))
                self.assertReply(client.command("STARTTLS"), 5)
                self.assertReply(client.quit(), 221)

    def test_a_port_of_the_systems_choice(self):
        ports = [l["port"] for l in self.gateway.ready["listen"] if l["face"] == "inbound"]
        self.assertNotIn(0, ports)
        (chosen,) = set(ports) - {self.gateway.inbound}
        with Client(chosen) as client:
            self.assertReply(client.greeting, 220)

    def test_old_versions_are_refused(self):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = self.authority.client_context()
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
            with self.assertRaises((ssl.SSLError, OSError)):
                Client(self.gateway.submissions, tls=context)
        context = self.authority.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with Client(self.gateway.submissions, tls=context) as client:
            self.assertEqual(client.socket.version(), "TLSv1.2")

    def test_the_certificate_goes_by_the_name_asked_for(self):
        first, second = (certificates.serial(c) for c in (self.certificate[0], self.second[0]))
        self.assertEqual(self.presented("mx.school.example"), first)
        self.assertEqual(self.presented("mx.club.example"), second)
        self.assertEqual(self.presented("unknown.example"), first)

    def test_sessions_are_resumed(self):
        for version in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=version):
                session = self.space.join("session" + version)
                common = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.gateway.submissions}", version,
                          "-CAfile", self.authority.certificate, "-servername", "mx.school.example", "-ign_eof"]
                first = run([*common, "-sess_out", session], stdin="QUIT\r\n")
                self.assertIn("New, TLSv1", first.stdout)
                again = run([*common, "-sess_in", session], stdin="QUIT\r\n")
                self.assertIn("Reused, TLSv1", again.stdout)

    def test_new_certificates_and_no_connection_lost(self):
        before = self.presented()
        with Client(self.gateway.submissions, tls=self.tls) as open_before:
            open_before.ehlo()
            new = self.authority.issue("mx.school.example", file="renewed")
            for source, target in zip(new, self.certificate):
                with open(source, "rb") as file, open(target, "wb") as out:
                    out.write(file.read())
            events = len(self.gateway.events("reloaded"))
            self.gateway.process.send(signal.SIGHUP)
            self.gateway.wait_event("reloaded", events + 1)
            wait_for(lambda: self.presented() == certificates.serial(new[0]), 10, "the new certificate")
            self.assertNotEqual(before, certificates.serial(new[0]))
            self.assertReply(open_before.command("NOOP"), 250)
            self.assertReply(open_before.auth_plain(OFFICER, "correct horse"), 235)
        # A broken file: the old certificate stays in use, and the process lives.
        with open(self.certificate[0], "rb") as file:
            good = file.read()
        self.space.write(self.certificate[0], b"not a certificate\n")
        told = len(self.gateway.events("reload.failed"))
        self.gateway.process.send(signal.SIGHUP)
        self.gateway.wait_event("reload.failed", told + 1)
        self.assertEqual(self.presented(), certificates.serial(new[0]))
        # One that is gone is told of in the system's words.
        os.remove(self.certificate[0])
        self.gateway.process.send(signal.SIGHUP)
        reason = self.gateway.wait_event("reload.failed", told + 2)["reason"]
        self.space.write(self.certificate[0], good)
        self.assertEqual(reason.strip('"'), f"certificate {self.certificate[0]}: No such file or directory")

    def test_certificates_that_end_are_told(self):
        def end():
            return self.gateway.metrics()["kagemusha_certificate_end_seconds"] - time.time()

        def reload(days):
            shutil.copyfile(self.authority.issue("mx.club.example", file=f"days{days}", days=days)[0], self.second[0])
            shutil.copyfile(f"{self.authority.folder}/days{days}.key", self.second[1])
            events = len(self.gateway.events("reloaded"))
            told = len(self.gateway.events("certificate.ends"))
            self.gateway.process.send(signal.SIGHUP)
            self.gateway.wait_event("reloaded", events + 1)
            if days < 15:
                self.gateway.wait_event("certificate.ends", told + 1)
            return [(e["file"], int(e["days"])) for e in self.gateway.events("certificate.ends")[told:]]
        day = 24 * 3600
        self.assertEqual(self.gateway.events("certificate.ends"), [])
        self.assertTrue(29 * day < end() < 31 * day, end())
        self.assertIn(reload(5), [[(self.second[0], 4)], [(self.second[0], 5)]])
        self.assertTrue(4 * day < end() < 6 * day, end())
        self.assertIn(reload(0), [[(self.second[0], 0)], [(self.second[0], -1)]])
        wait_for(lambda: end() < -1, 10, "the end of the certificate")
        result = self.gateway.check()
        self.assertIn(f"FAIL  certificate {self.second[0]}: it has expired", result.stdout)
        self.gateway.restart()
        self.assertEqual(self.gateway.wait_event("certificate.ends")["days"], "-1")
        self.assertEqual(reload(20), [])

    def test_a_handshake_that_is_none(self):
        with Client(self.gateway.submissions, greet=False) as client:
            client.send(b"EHLO in.clear\r\n")
            client.socket.settimeout(20)
            self.assertNotIn("250", client.line() or "")
        self.assertReply(self.inbound(message(STRANGER, PUBLIC)), 250)
        self.copies(2)

    def test_received_names_the_protocol_and_no_client(self):
        self.assertReply(self.submit(OFFICER, "x@outside.test", message(OFFICER, "x@outside.test")), 250)
        header = self.copies(1)[0].header
        self.assertIn(b"with ESMTPSA", header)
        self.assertNotIn(b"127.0.0.1", header)
        self.assertNotIn(b"client.test", header)
        self.assertNotIn(b"Received: from", header)


if __name__ == "__main__":
    unittest.main(verbosity=2)
