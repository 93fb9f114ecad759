"""The figures of dev/bench; see there. Called with the folder of the built programs."""

import argparse
import os
import signal
import sys

import progress
from acme import acme
from due import due
from f5 import f5
from failover import failover
from idle import idle, make_pattern
from plane import Plane
from raw import raw

NAMES = ("raw", "due", "idle", "acme", "failover", "f5")


def arguments():
    parser = argparse.ArgumentParser(prog="dev/bench")
    parser.add_argument("programs")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of " + ", ".join(NAMES) + " (default: all)")
    parser.add_argument("--quick", action="store_true", help="smaller, in a few minutes")
    parser.add_argument("--due", type=int, help="workflows of the figure due")
    parser.add_argument("--acme", type=int, help="workflows of the figure acme")
    parser.add_argument("--f5", type=int, metavar="PAIRS", help="pairs of the figure f5, with 10 workflows each")
    given = parser.parse_intermixed_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error("unknown figure " + ", ".join(sorted(unknown)))
    given.names = given.names or NAMES
    given.due = given.due or (200 if given.quick else 1000)
    given.acme = given.acme or (20 if given.quick else 100)
    given.f5 = given.f5 or (2 if given.quick else 20)
    return given


def measure(given):
    quick = given.quick
    if "raw" in given.names or "due" in given.names:
        with Plane(given.programs) as plane:
            pattern = make_pattern(plane)
            rates = raw(plane, pattern, 300 if quick else 1000) if "raw" in given.names else None
            if "due" in given.names:
                due(plane, given.due, rates)
    if "idle" in given.names:
        with Plane(given.programs) as plane:
            pattern = make_pattern(plane)
            sizes = (1000,) if quick else (1000, 10000)
            idle(plane, pattern, sizes, 3000 if quick else 30000, 20 if quick else 60)
    if "acme" in given.names:
        with Plane(given.programs) as plane:
            acme(plane, given.acme)
    if "failover" in given.names:
        with Plane(given.programs) as plane:
            failover(plane, 60 if quick else 200)
    if "f5" in given.names:
        with Plane(given.programs) as plane:
            f5(plane, given.f5)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = arguments()
    given.programs = os.path.abspath(given.programs)
    try:
        measure(given)
    except KeyboardInterrupt:
        progress.say("interrupted; everything is stopped")
        return 130
    except RuntimeError as error:
        progress.say(f"failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
