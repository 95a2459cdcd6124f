"""Runs the tests and ends with a line `N passed, N failed`. UNBROKEN_CONTROL is the control port of the test server."""

import sys
import time
import unittest


class Result(unittest.TextTestResult):
    """Says how long each took."""

    def startTest(self, test):
        self.begun = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        self.stream.write(f"{time.monotonic() - self.begun:.1f} s ")
        super().addSuccess(test)


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.discover(sys.path[0])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad) or not result.testsRun)
