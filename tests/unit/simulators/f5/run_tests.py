#!/usr/bin/python3
"""The tests of this folder, for f5_simulator_test.cc: `--list` prints their names; without it they run, and each gives a line
of JSON: {"name": ..., "passed": ..., "text": ...}. Also by hand: run_tests.py [--list] [NAME ...]"""
import json
import pathlib
import sys
import traceback
import types
import unittest
import unittest.case
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "simulators")]
sys.dont_write_bytecode = True
ErrorInfo = tuple[type[BaseException], BaseException, types.TracebackType] | tuple[None, None, None]


class Lines(unittest.TestResult):
    """A line for each test; failed parts of it (subtests) are collected until it ends."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.text = ""

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.text += "".join(traceback.format_exception(*err))
        if not isinstance(test, unittest.TestCase):  # a class could not be set up: its tests never start
            print_line(str(test), self.text)

    addError = addFailure

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: ErrorInfo | None) -> None:
        if err is not None:
            self.text += f"{subtest}\n" + "".join(traceback.format_exception(*err))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.text += f"skipped: {reason}"

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        print_line(test.id(), self.text)


def print_line(name: str, text: str) -> None:
    print(json.dumps({"name": name, "passed": not text, "text": text}), flush=True)


def flat(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    found: list[unittest.TestCase] = []
    for test in suite:
        found += flat(test) if isinstance(test, unittest.TestSuite) else [test]
    return found


def main() -> int:
    wanted = [word for word in sys.argv[1:] if word != "--list"]
    tests = flat(unittest.TestLoader().discover(str(HERE), top_level_dir=str(HERE)))
    tests = [test for test in tests if not wanted or any(word in test.id() for word in wanted)]
    if "--list" in sys.argv:
        print("\n".join(test.id() for test in tests))
        return 0
    unittest.TestSuite(tests).run(Lines())
    return 0


if __name__ == "__main__":
    sys.exit(main())
