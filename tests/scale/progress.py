"""Where the output goes: figures to standard output, everything else to standard error."""

import json
import sys
import time

import measures

_STARTED = time.monotonic()


def say(text):
    print(f"dev/bench: {time.monotonic() - _STARTED:7.1f} s  {text}", file=sys.stderr, flush=True)


def figure(name, **values):
    """One JSON line."""
    print(json.dumps({"figure": name, **values, "load": measures.load()}), flush=True)


def rounded(values, digits=3):
    return {key: round(value, digits) for key, value in values.items()}
