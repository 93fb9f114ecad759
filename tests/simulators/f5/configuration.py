"""A configuration: named objects that are replaced, never changed, so that a copy of it costs next to nothing."""
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import names, pem
from .wire import Json

COMMITS = itertools.count(1)  # every change of any unit's configuration has a number of its own


@dataclass(frozen=True)
class Entry:
    """One object. `values` is what was set on it; what it inherits is found through its kind."""
    kind: str  # as in addresses: "ssl-cert", "client-ssl", "virtual" ...
    path: str
    values: Json
    generation: int = 0
    content: bytes = b""  # of files only

    @property
    def name(self) -> str:
        return names.base_name(self.path)

    @property
    def partition(self) -> str:
        return names.partition(self.path)


class Configuration:
    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, Entry]] = {}
        self._generation = 0
        self.commit = 0  # what two units compare to know whether they are in sync

    def copy(self) -> "Configuration":
        other = Configuration()
        other._kinds = {kind: dict(entries) for kind, entries in self._kinds.items()}
        other._generation = self._generation
        other.commit = self.commit
        return other

    def changed(self) -> None:
        self.commit = next(COMMITS)

    def find(self, kind: str, path: str) -> Entry | None:
        return self._kinds.get(kind, {}).get(path)

    def all(self, kind: str) -> Iterator[Entry]:
        return iter(list(self._kinds.get(kind, {}).values()))

    def kinds(self) -> list[str]:
        return list(self._kinds)

    def put(self, kind: str, path: str, values: Json, content: bytes = b"") -> Entry:
        self._generation += 1
        entry = Entry(kind, path, values, self._generation, content)
        self._kinds.setdefault(kind, {})[path] = entry
        return entry

    def remove(self, kind: str, path: str) -> None:
        self._generation += 1
        del self._kinds[kind][path]


def certificate(entry: Entry) -> pem.CertificateFile:
    return pem.read_certificates(entry.content)


def key_of(entry: Entry, passphrase: str | None) -> pem.PublicKey:
    """With the passphrase that a profile knows, else the one that came with the file."""
    stored: Any = entry.values.get("passphrase")
    return pem.read_key(entry.content, passphrase or stored)
