"""IMAP sessions through the proxy: ways to log in, what is offered, IDLE, APPEND, COMPRESS, and a provider that fails
(contract R3.5, R8.4, R8.5)."""

import unittest

from harness.proxied import PASSWORD, READER, Proxied


class Sessions(Proxied):
    def test_a_session(self):
        self.put(READER, [])
        with self.proxied() as client:
            client.append("INBOX", b"Subject: a\r\n\r\nbody\r\n")
            client.select()
            self.assertEqual(client.exists, 1)
            found = client.fetch("1", "(UID FLAGS BODY.PEEK[])")
            print(found)
            client.ok("SEARCH ALL")
            client.logout()


if __name__ == "__main__":
    unittest.main()
