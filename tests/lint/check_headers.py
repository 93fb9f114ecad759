#!/usr/bin/env python3
"""check_headers.py: each header compiles alone. What passed is remembered by the hash of its preprocessed text."""
import concurrent.futures
import os
import subprocess
import sys

from tracked import ROOT, Seen, compile_flags, report, tracked


def flags_for(header, flags):
    """Those of a source in the same folder, else of a neighbour further up, else of any."""
    folder = os.path.dirname(header)
    while True:
        for path, found in flags.items():
            if path.startswith(folder + "/" if folder else ""):
                return found
        folder = os.path.dirname(folder)


def check(header, flags, seen):
    compiler, options = flags_for(header, flags)
    command = [compiler, *options, f"-I{ROOT}", "-x", "c++", "-"]
    including = f'#include "{header}"\n'.encode()

    def run(*more):
        return subprocess.run([*command, *more], input=including, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    text = run("-E", "-P")
    key = seen.key(header, " ".join(command), text.stdout)
    if text.returncode == 0 and seen.passed(key):
        return None
    done = run("-fsyntax-only")
    if done.returncode == 0:
        seen.remember(key)
        return None
    return f"{header} does not compile alone:\n{done.stderr.decode(errors='replace')}"


def main():
    flags, seen = compile_flags(), Seen("headers")
    headers = tracked("controller/*.h", "providers/*.h", "tests/*.h")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [p for p in pool.map(lambda h: check(h, flags, seen), headers) if p]
    return report("headers", problems)


if __name__ == "__main__":
    sys.exit(main())
