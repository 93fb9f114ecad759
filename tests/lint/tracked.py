"""What the checks of this folder share: the tracked files, the compile flags, the cache and the way to report."""
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = str(ROOT).encode()
THIRD_PARTY = "/third_party/"
CACHE = pathlib.Path(os.environ.get("CERTFLOW_CACHE") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "certflow") / "lint"


def tracked(*patterns):
    """Tracked files that still exist, third-party ones left out; a pattern's * also matches /."""
    names = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns], check=True,
                           stdout=subprocess.PIPE).stdout.decode().split("\0")
    return sorted({n for n in names if n and THIRD_PARTY not in n and (ROOT / n).is_file()})


def report(check, problems):
    """Prints the problems and gives the exit code."""
    for problem in problems:
        print(f"{check}: {problem}")
    return 1 if problems else 0


def compile_flags():
    """file -> (compiler, flags) as the debug build compiles it; ours, without output and input."""
    database = pathlib.Path(os.environ.get("CERTFLOW_BUILD") or ROOT / "build/debug") / "compile_commands.json"
    if not database.is_file():
        sys.exit(f"{database} is missing; configure first (dev/test does)")
    flags = {}
    for entry in json.loads(database.read_text()):
        words = shlex.split(entry["command"])
        while words and os.path.basename(words[0]) == "ccache":
            words.pop(0)
        kept, skip = [], False
        for word in words[1:]:
            if skip:
                skip = False
            elif word in ("-o", "-c", "-MF", "-MT", "-MQ"):
                skip = True
            elif word not in ("-MD", "-MMD"):
                kept.append(word)
        path = os.path.relpath(entry["file"], ROOT)
        flags[path] = (words[0], [w for w in kept if w != entry["file"]])
    return flags


class Seen:
    """Remembers by content what passed, wherever the checkout lies; what failed is looked at again."""

    def __init__(self, check):
        self.folder = CACHE / check
        self.folder.mkdir(parents=True, exist_ok=True)

    def key(self, *parts):
        digest = hashlib.sha256()
        for part in parts:
            digest.update((part if isinstance(part, bytes) else str(part).encode()).replace(HERE, b"."))
            digest.update(b"\0")
        return digest.hexdigest()

    def passed(self, key):
        mark = self.folder / key
        if mark.exists():
            os.utime(mark)
            return True
        return False

    def remember(self, key):
        (self.folder / key).touch()
