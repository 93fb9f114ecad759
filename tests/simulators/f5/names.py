"""Names of objects: /Common/www.crt, ~Common~www.crt in addresses, https://localhost/... in answers."""
import urllib.parse

from .wire import Denied, Invalid

BASE = "https://localhost/mgmt"


def full_path(identifier: str) -> str:
    """The full path that the last part of an address names; without a partition it is in Common."""
    text = urllib.parse.unquote(identifier)
    return text.replace("~", "/") if text.startswith("~") else f"/Common/{text}"


def identifier(path: str) -> str:
    return path.replace("/", "~")


def partition(path: str) -> str:
    return path.split("/")[1]


def folder(path: str) -> str:
    """/T for /T/x and /T/app.app for /T/app.app/x."""
    return path.rsplit("/", 1)[0]


def base_name(path: str) -> str:
    return path.rsplit("/", 1)[1]


def named_in(body: dict[str, object], wanted_partition: str | None = None) -> str:
    """The full path that `name` and `partition` of a body say."""
    name, place = body.get("name"), body.get("partition", wanted_partition or "Common")
    if not isinstance(name, str) or not name or not isinstance(place, str) or not place:
        raise Invalid(400, "one or more configuration identifiers must be provided", 26214401)
    path = name if name.startswith("/") else f"/{place}/{name}"
    parts = path.split("/")[1:]
    if "~" in path or len(parts) < 2 or not all(parts):
        raise Denied(400, f"Found invalid name {name}")
    return path


def reference(value: object) -> str:
    """A reference to another object as its full path; "none" stays."""
    if not isinstance(value, str) or value == "":
        raise Invalid(400, "one or more configuration identifiers must be provided", 26214401)
    return value if value == "none" or value.startswith("/") else f"/Common/{value}"


def link(path: str, version: str) -> str:
    """A link as answers hold it; `path` begins after /mgmt."""
    return f"{BASE}{path}?ver={version}"
