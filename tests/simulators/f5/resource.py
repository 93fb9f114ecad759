"""What all objects of a configuration have in common: names, existence, partitions, known properties, rendering."""
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import names
from .configuration import Configuration, Entry
from .options import Options
from .versions import Version
from .wire import FILE_OR_TMSH, Invalid, Json

ENVELOPE = frozenset({"kind", "name", "partition", "fullPath", "subPath", "generation", "selfLink"})


@dataclass
class Change:
    """A change in the making: a copy of the configuration, and what a handler may need beside it."""
    configuration: Configuration
    version: Version
    options: Options
    user: str
    now: float
    read_upload: Callable[[str], bytes | None]  # by its path on the device
    touched: set[tuple[str, str]] = field(default_factory=set)

    def put(self, kind: str, path: str, values: Json, content: bytes = b"") -> Entry:
        self.touched.add((kind, path))
        return self.configuration.put(kind, path, values, content)

    def remove(self, entry: Entry) -> None:
        self.touched.add((entry.kind, entry.path))
        self.configuration.remove(entry.kind, entry.path)


class Resource:
    """One kind of object. Subclasses say how it is made, changed and shown."""
    kind = ""  # in addresses
    url = ""  # after /mgmt
    type = ""  # "tm:sys:file:ssl-cert:ssl-cert" + "state"
    word = ""  # in messages
    writable: frozenset[str] = frozenset()
    read_only: frozenset[str] = frozenset()

    def create(self, change: Change, body: Json) -> Entry:
        path = names.named_in(body)
        self.require_partition(change, path)
        if change.configuration.find(self.kind, path):
            raise Invalid(409, f"01020066:3: The requested {self.word} ({path}) already exists in partition "
                               f"{names.partition(path)}.")
        self.check_properties(change, body)
        return self.make(change, path, body)

    def modify(self, change: Change, path: str, body: Json, replace: bool) -> Entry:
        entry = self.existing(change.configuration, path)
        self.check_properties(change, body)
        return self.rewrite(change, entry, body, replace)

    def delete(self, change: Change, path: str) -> None:
        change.remove(self.existing(change.configuration, path))

    def existing(self, configuration: Configuration, path: str) -> Entry:
        entry = configuration.find(self.kind, path)
        if entry is None:
            raise Invalid(404, f"01020036:3: The requested {self.word} ({path}) was not found.")
        return entry

    def make(self, change: Change, path: str, body: Json) -> Entry:
        raise NotImplementedError

    def rewrite(self, change: Change, entry: Entry, body: Json, replace: bool) -> Entry:
        raise NotImplementedError

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        raise NotImplementedError

    def envelope(self, version: Version, entry: Entry) -> Json:
        return {"kind": f"{self.type}state", "name": entry.name, "partition": entry.partition, "fullPath": entry.path,
                "generation": entry.generation, "selfLink": self.link(version, entry.path)}

    def link(self, version: Version, path: str) -> str:
        return names.link(f"{self.url}/{names.identifier(path)}", version.text)

    def require_partition(self, change: Change, path: str) -> None:
        if not folder_exists(change.configuration, names.folder(path)):
            raise Invalid(404, f"01020036:3: The requested folder ({names.folder(path)}) was not found.")

    def check_properties(self, change: Change, body: Json) -> None:
        if not change.options.strict_fields:
            return
        for key in body:
            if key not in self.writable and key not in self.read_only and key not in ENVELOPE and \
                    not key.endswith("Reference"):
                raise Invalid(400, f"simulator, strict: {key} is no property of {self.url}", FILE_OR_TMSH)


def folder_exists(configuration: Configuration, folder: str) -> bool:
    if folder.count("/") == 1:
        return folder == "/Common" or configuration.find("partition", folder) is not None
    return configuration.find("folder", folder) is not None


def require_visible(owner: str, path: str) -> None:
    """An object refers to its own partition and to Common only."""
    if path != "none" and names.partition(path) not in ("Common", names.partition(owner)):
        raise Invalid(400, f"simulator: {owner} in partition {names.partition(owner)} cannot refer to {path}")


def as_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Invalid(400, f"simulator: {name} is a text", FILE_OR_TMSH)
    return value


def like_default(default: Any, value: Any, name: str) -> Any:
    """Text and numbers are taken for each other, as tmsh would; everything else has the kind of the default."""
    if isinstance(value, bool) or not isinstance(value, (str, int) if isinstance(default, (str, int)) else type(default)):
        raise Invalid(400, f"simulator: {name} cannot be {value!r}", FILE_OR_TMSH)
    if isinstance(default, str):
        return str(value)
    if isinstance(default, int):
        if not str(value).isdecimal():
            raise Invalid(400, f"simulator: {name} is a number", FILE_OR_TMSH)
        return int(value)
    return value


def as_flag(value: Any, name: str) -> str:
    """Booleans are strings here; a JSON boolean is taken too."""
    text = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
    if text not in ("true", "false"):
        raise Invalid(400, f"simulator: {name} is true or false", FILE_OR_TMSH)
    return str(text)
