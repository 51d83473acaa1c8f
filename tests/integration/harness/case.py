"""The base of test classes: a workspace for the class, and logs kept when something failed."""

import os
import sys
import unittest

from .workspace import Workspace


class Case(unittest.TestCase):
    """Put servers up in `prepare(cls, space)`; they are stopped with the class."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.space = Workspace(cls.__name__.lower())
        cls.addClassCleanup(cls.space.close)
        try:
            cls.prepare(cls.space)
        except BaseException:
            cls.space.keep = True
            raise

    @classmethod
    def prepare(cls, space):
        pass

    def assertReply(self, reply, code, enhanced=None, msg=None):
        """The reply's code, or its first digit when `code` is one digit."""
        if code < 10:
            self.assertIsNotNone(reply.code, f"closed instead of {code}xx {msg or ''}")
            self.assertEqual(reply.code // 100, code, f"{reply} {msg or ''}")
        else:
            self.assertEqual(reply.code, code, f"{reply} {msg or ''}")
        if enhanced:
            self.assertEqual(reply.enhanced, enhanced, f"{reply} {msg or ''}")


def main():
    """For running one file by itself."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    unittest.main(verbosity=2)
