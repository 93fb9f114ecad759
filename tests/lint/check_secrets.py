#!/usr/bin/env python3
"""check_secrets.py: no private key or token in a tracked file, except below a folder of tests/testdata whose README says
where it comes from."""
import re
import sys

from tracked import ROOT, report, tracked

# A key has a body: the mere mention of its first line, as in a parser or a test of one, is fine.
SECRETS = [
    ("a private key", re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\\nr\"]+[A-Za-z0-9+/=]{40,}")),
    ("a private key in base64", re.compile(rb"LS0tLS1CRUdJTi[A-Za-z0-9+/]{8,60}UFJJVkFURSBLRVkt")),
    ("an AWS key", re.compile(rb"\bAKIA[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b")),
    ("a Slack token", re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}")),
    ("a JSON web token", re.compile(rb"\beyJhbGci[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}")),
]


def has_readme(path):
    folder = (ROOT / path).parent
    while folder != ROOT / "tests":
        if (folder / "README.md").is_file() or (folder / "README").is_file():
            return True
        folder = folder.parent
    return False


def main():
    problems = []
    for path in tracked("*"):
        if path.startswith("tests/testdata/") and has_readme(path):
            continue
        content = (ROOT / path).read_bytes()
        problems += [f"{path}: {what}" for what, pattern in SECRETS if pattern.search(content)]
    return report("secrets", problems)


if __name__ == "__main__":
    sys.exit(main())
