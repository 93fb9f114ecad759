#!/usr/bin/env python3
"""check_python.py: every tracked Python file compiles and has nothing unused or undefined (pyflakes); the simulators and
their tests have types that hold (mypy, strict)."""
import subprocess
import sys

from tracked import CACHE, ROOT, report, tracked

TYPED = "tests/simulators", "tests/unit/simulators"
# They run in another environment, whose modules have no types.
UNTYPED = "/with_"
SEARCHED = "tests/simulators:tests/unit/simulators/f5"


def python_files():
    """By name, or by first line."""
    found = set(tracked("*.py"))
    for path in tracked("dev/*", "tests/*"):
        if "." not in path.rsplit("/", 1)[1]:
            with open(ROOT / path, "rb") as file:
                first = file.readline()
            if first.startswith(b"#!") and b"python" in first:
                found.add(path)
    return sorted(found)


def compile_problems(paths):
    for path in paths:
        try:
            compile((ROOT / path).read_text(), path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            yield f"{path}: {error}"


def output_of(*command, **environment):
    done = subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin", **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return [] if done.returncode == 0 else done.stdout.splitlines()


def main():
    paths = python_files()
    typed = [path for path in paths if path.startswith(TYPED) and UNTYPED not in path]
    problems = list(compile_problems(paths))
    problems += output_of("pyflakes3", *paths)
    problems += output_of("mypy", "--strict", "--no-error-summary", "--cache-dir", str(CACHE / "mypy"), *typed,
                          MYPYPATH=SEARCHED)
    return report("python", problems)


if __name__ == "__main__":
    sys.exit(main())
