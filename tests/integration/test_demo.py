"""What scripts/demo tells is true: each step of the story checks what it says, with real servers."""

import os
import unittest

from harness.case import Case
from harness.gateway import program
from harness.workspace import run

HERE = os.path.dirname(os.path.abspath(__file__))


class Demo(Case):
    def test_it_goes_as_told(self):
        result = run(["python3", "-B", os.path.join(HERE, "demo.py"), "--kagemusha", program()], seconds=120)
        self.assertEqual(result.returncode, 0, result.stdout[-3000:] + result.stderr)
        self.assertIn("All as told", result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
