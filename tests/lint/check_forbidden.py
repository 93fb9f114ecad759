#!/usr/bin/env python3
"""check_forbidden.py: what the style guide refuses and a pattern can see."""
import re
import sys
from pathlib import Path

from tracked import ROOT, report, tracked

CODE = ("*.h", "*.cc")
SCRIPTS = ("dev/*", ".ci/*", "tests/peers/*", "tests/lint/*", "tests/controlplane/build", "CMakeLists.txt", "*.txt",
           "*.json", "*.yaml", "*.yml", "*.md", "*.py", "*.sh")
# This file spells the patterns out.
OWN = "tests/lint/check_forbidden.py"


def outside(*prefixes):
    return lambda path: not path.startswith(prefixes)


def everywhere(_path):
    return True


# (pattern, where it counts, what to do instead)
RULES = [
    (r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(|\bnanosleep\s*\(", outside("controller/base/clock.cc", "tests/"),
     "wait by the Clock"),
    (r"\bsystem_clock::now\b", outside("controller/base/clock.cc", "tests/"), "ask the Clock"),
    (r"\busing\s+namespace\b", everywhere, "name what is used"),
    (r"\bstd::w?regex\b", everywhere, "std::regex overflows the stack on long input; parse by hand"),
    (r"\b(?:secure_)?getenv\s*\(", outside("controller/app/", "controller/kube/", "tests/"),
     "the environment is read in app/ and by kube/, for its configuration and its exec plugins, only"),
    (r"\b(?:class|struct|enum)\s+(?:class\s+)?\w*(?:Manager|Utils?|Helpers?)\b", everywhere,
     "name what it does: no Manager, Util or Helper"),
]
# Where this checkout and its user live: any machine that runs the lint looks for its own. A name right under / may as
# well be a path inside the project.
OF_THIS_MACHINE = "".join(f"{re.escape(str(path))}/|" for path in (ROOT, Path.home()) if len(path.parts) > 2)
TEXT_RULES = [
    (r"\b(?:TODO|FIXME|XXX)\b", "finish it, or open an issue"),
    (OF_THIS_MACHINE + r"/root/|/home/[a-z]+/|\.\./\.[a-z]+/", "a path of one machine, or out of the checkout"),
]
FOLDER = re.compile(r"(^|/)(utils?|common|helpers?|managers?)(/|\.)")


def main():
    problems = []
    for path in tracked(*CODE, *SCRIPTS):
        if path == OWN or path.endswith("go.sum"):
            continue
        if FOLDER.search(path) and path.endswith((".h", ".cc")):
            problems.append(f"{path}: no util, common, helper or manager")
        rules = [(p, why) for p, where, why in RULES if where(path)] if path.endswith((".h", ".cc")) else []
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1):
            for pattern, why in rules + TEXT_RULES:
                match = re.search(pattern, line)
                if match:
                    problems.append(f"{path}:{number}: {match[0].strip()}: {why}")
    return report("forbidden", problems)


if __name__ == "__main__":
    sys.exit(main())
