#!/usr/bin/env python3
"""Runs the integration tests, each file in a process of its own and several files at once.

Prints one line a file, then what failed, then "N passed, N failed" alone on the last line. What failed tests leave
behind (logs, configurations, mailboxes) is kept in build/integration/FILE.
"""

import argparse
import concurrent.futures
import faulthandler
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEEP = os.path.join(ROOT, "build", "integration")
LIMIT = 300 + 5 * float(os.environ.get("KAGEMUSHA_STRESS_SECONDS", 0))  # seconds for one file
CHILDREN, STARTING, STOPPING = set(), threading.Lock(), threading.Event()
# The longest first, so that they do not begin when all others have ended.
FIRST = ["test_proxy_private", "test_proxy_consistent", "test_proxy_faults", "test_proxy_clients",
         "test_proxy_session", "test_proxy_login", "test_failclosed", "test_school_year", "test_broadcast",
         "test_proxy_search", "test_hostile", "test_canaries", "test_proxy_stress", "test_retry",
         "test_proxy_extensions", "test_new_year", "test_attacks", "test_auth", "test_form_browser"]


class Result(unittest.TextTestResult):
    """Counts tests, not subtests: a test with a failed subtest is one failed test."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.times = {}
        self.broken = {}

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.times[test.id()] = round(time.monotonic() - self.began, 2)

    def _broke(self, test, error):
        parent = getattr(test, "test_case", test)
        text = f"{test}\n{self._exc_info_to_string(error, parent)}"
        self.broken.setdefault(parent.id(), []).append(text)

    def addError(self, test, err):
        super().addError(test, err)
        self._broke(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._broke(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._broke(subtest, err)


def load(module, pattern):
    loader = unittest.TestLoader()
    if pattern:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*"]
    return loader.loadTestsFromName(module)


def run_one(module, pattern, report):
    """Inside the child: runs a file's tests and writes what came of them."""
    def ended(_):
        faulthandler.dump_traceback(sys.stdout)
        Workspace.close_all()  # unittest would go on with the next test
        os._exit(1)
    from harness.workspace import Workspace, on_end_signals
    on_end_signals(ended)
    suite = load(module, pattern)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=2).run(suite)
    names = set(result.times) | set(result.broken)
    with open(report, "w") as file:
        json.dump({"passed": len(names) - len(result.broken) - len(result.skipped), "skipped": len(result.skipped),
                   "broken": result.broken, "times": result.times}, file)
    return 0 if not result.broken else 1


def run_module(module, arguments, base):
    """In the parent: one child to its end."""
    folder = os.path.join(base, module.replace("test_", ""))
    os.makedirs(folder)
    os.chmod(folder, 0o755)
    output, report = os.path.join(folder, "output"), os.path.join(folder, "report.json")
    environment = dict(os.environ, TMPDIR=folder, KAGEMUSHA_TEST_KEEP="1", PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, os.path.abspath(__file__), "--module", module, "--report", report]
    if arguments.k:
        command += ["-k", arguments.k]
    began = time.monotonic()
    with open(output, "wb") as file, STARTING:
        if STOPPING.is_set():
            return None
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=HERE)
        CHILDREN.add(child)
    try:
        child.wait(LIMIT)
    except subprocess.TimeoutExpired:
        child.terminate()  # lets it stop its servers
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    CHILDREN.discard(child)
    try:
        with open(report) as file:
            result = json.load(file)
    except (OSError, ValueError):
        with open(output, errors="replace") as file:
            tail = file.read()[-4000:]
        result = {"passed": 0, "skipped": 0, "times": {}, "broken": {module: [f"{module} did not end well\n{tail}"]}}
    result["seconds"] = time.monotonic() - began
    result["module"] = module
    if result["broken"]:
        keep(folder, os.path.join(KEEP, module))
    return result


def stop(number):
    """At a signal: every child stops its servers; what has not begun does not begin."""
    with STARTING:
        STOPPING.set()
    for child in list(CHILDREN):
        child.terminate()
    sys.exit(128 + number)


def keep(source, target):
    """Copies what a person can read; sockets and queues stay behind."""
    shutil.rmtree(target, ignore_errors=True)
    for folder, _, names in os.walk(source):
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_size < 5_000_000:
                copy = os.path.join(target, os.path.relpath(path, source))
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                shutil.copyfile(path, copy)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="test files, e.g. test_spine; without any: all")
    parser.add_argument("--kagemusha", metavar="PATH", help="the binary under test")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 2) + 2, help="files at once; most of them wait now and then")
    parser.add_argument("--times", action="store_true", help="also print the slowest tests")
    parser.add_argument("-k", metavar="PATTERN", help="only tests whose name holds this")
    parser.add_argument("--module", help=argparse.SUPPRESS)
    parser.add_argument("--report", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, HERE)
    if arguments.module:
        return run_one(arguments.module, arguments.k, arguments.report)
    if arguments.kagemusha:
        os.environ["KAGEMUSHA"] = os.path.abspath(arguments.kagemusha)
    from harness.gateway import program
    from harness.workspace import on_end_signals
    if not os.access(program(), os.X_OK):
        print(f"{program()} is no program", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the integration tests start a real Postfix, which needs root", file=sys.stderr)
        return 2

    names = [os.path.basename(f).removesuffix(".py") for f in arguments.files] or sorted(
        f[:-3] for f in os.listdir(HERE) if f.startswith("test_") and f.endswith(".py"))
    if arguments.k:
        names = [n for n in names if load(n, arguments.k).countTestCases()]
    names.sort(key=lambda n: (FIRST.index(n) if n in FIRST else len(FIRST), n))
    on_end_signals(stop)
    base = tempfile.mkdtemp(prefix="kg")
    os.chmod(base, 0o755)
    results = []
    try:
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for future in concurrent.futures.as_completed([pool.submit(run_module, n, arguments, base) for n in names]):
                result = future.result()
                if result is None:
                    continue
                results.append(result)
                print(f"  {result['module']:<24} {result['passed']:3} passed {len(result['broken']):3} failed "
                      f"{result['seconds']:6.1f} s", flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    for result in sorted(results, key=lambda r: r["module"]):
        for texts in result["broken"].values():
            for text in texts[:8]:
                print("\n" + "-" * 80 + f"\n{text[:6000]}")
    if arguments.times:
        times = sorted(((s, n) for r in results for n, s in r["times"].items()), reverse=True)[:25]
        print("\n".join(f"  {s:6.1f} s {n}" for s, n in times))
    skipped = sum(r["skipped"] for r in results)
    if skipped:
        print(f"{skipped} skipped")
    failed = sum(len(r["broken"]) for r in results)
    passed = sum(r["passed"] for r in results)
    if failed:
        print(f"what failed left its logs in {os.path.relpath(KEEP)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
