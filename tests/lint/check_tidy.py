#!/usr/bin/env python3
"""check_tidy.py [FILE ...]: clang-tidy, with .clang-tidy, over every source of controller/ and providers/.

What passed is remembered by the hash of its preprocessed text, its own text (comments can switch a check off), .clang-tidy
and the flags. As it is worth seconds a file, sources run on every core.
"""
import concurrent.futures
import os
import subprocess
import sys

from tracked import ROOT, Seen, compile_flags, tracked

# What g++ knows and clang does not.
NOT_FOR_CLANG = ("-fmodules-ts", "-fmodule-mapper", "-fdeps-format")


def check(source, flags, seen, config):
    compiler, options = flags[source]
    options = [o for o in options if not o.startswith(NOT_FOR_CLANG)]
    text = subprocess.run([compiler, *options, "-E", "-P", str(ROOT / source)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    key = seen.key(source, config, " ".join(options), text.stdout, (ROOT / source).read_bytes())
    if text.returncode == 0 and seen.passed(key):
        return None
    done = subprocess.run(["clang-tidy-19", "--quiet", f"--config-file={ROOT}/.clang-tidy", str(ROOT / source), "--",
                           *options, "-Wthread-safety"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        seen.remember(key)
        return None
    return f"{source}:\n{done.stdout.replace(str(ROOT) + '/', '')}" + ("" if done.stdout else done.stderr)


def main():
    flags, seen = compile_flags(), Seen("tidy")
    config = (ROOT / ".clang-tidy").read_text()
    sources = sys.argv[1:] or tracked("controller/*.cc", "providers/*.cc")
    failed = [s for s in sources if s not in flags]
    for source in failed:
        print(f"tidy: {source} is in no target of the build, or came after the build was configured", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        known = [s for s in sources if s in flags]
        for problem in pool.map(lambda s: check(s, flags, seen, config), known):
            if problem:
                print(f"tidy: {problem}", flush=True)
                failed.append(problem)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
