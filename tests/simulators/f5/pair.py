"""A device group with all that belongs to it: units, their addresses, log, faults, data plane, and its first objects."""
from __future__ import annotations

import asyncio
import pathlib
import ssl

from cryptography.hazmat.primitives.asymmetric import rsa

from . import https
from .authority import Authority
from .clock import Clock, utc_text
from .configuration import Configuration
from .faults import Faults
from .front import Front
from .group import Group
from .journal import Journal
from .listeners import DataPlane
from .options import Options
from .profiles import CLIENT_DEFAULTS, PROFILES, SERVER_DEFAULTS
from .resource import Change
from .objects import RESOURCES
from .sslfiles import FileResource
from .unit import Unit
from .versions import Version
from .wire import Json

GROUP = "failover_group"
KINDS = {resource.kind: resource for resource in RESOURCES}


def built_in(default: tuple[bytes, bytes], now: float) -> Configuration:
    """What a device has before anybody touches it."""
    made = Configuration()
    when = utc_text(now)
    for kind, name, content in (("ssl-cert", "default.crt", default[0]), ("ssl-key", "default.key", default[1])):
        made.put(kind, f"/Common/{name}", {
            "systemPath": f"/config/ssl/{kind.replace('-', '.')}/{name}", "createTime": when, "createdBy": "root",
            "lastUpdateTime": when, "updatedBy": "root", "revision": 1}, content)
    chain = {"name": "default", "cert": "/Common/default.crt", "key": "/Common/default.key", "chain": "none"}
    made.put("client-ssl", "/Common/clientssl", CLIENT_DEFAULTS | {"certKeyChain": [chain]})
    made.put("server-ssl", "/Common/serverssl", dict(SERVER_DEFAULTS))
    for kind, resource in PROFILES.items():
        if kind not in ("client-ssl", "server-ssl"):
            made.put(kind, resource.base, {})
    return made


class Pair:
    def __init__(self, number: int, version: Version, clock: Clock, units: int, host: str, folder: pathlib.Path,
                 default: tuple[bytes, bytes]) -> None:
        self.number, self.clock, self.host = number, clock, host
        self.options = Options()
        self.journal, self.faults = Journal(), Faults()
        self.group = Group(GROUP, clock, self.options)
        initial = built_in(default, clock.now())
        for name in "ab"[:units]:
            Unit(name, f"bigip-{number}{name}.example.com", f"192.0.2.{number * 2 + 'ab'.index(name)}", version, clock,
                 self.options, self.group, initial)
        self.fronts = {unit.name: Front(unit, self.journal, self.faults) for unit in self.group.units}
        self.plane = DataPlane(self.group, host, folder)
        self.group.on_change = self.plane.refresh
        self.servers: dict[str, asyncio.Server] = {}

    def unit(self, name: str) -> Unit:
        """ValueError for a name that no unit has."""
        for unit in self.group.units:
            if unit.name == name:
                return unit
        raise ValueError(f"unit {name} is not there; there are {', '.join(u.name for u in self.group.units)}")

    def add_user(self, name: str, password: str, role: str, remote: bool = False) -> None:
        for unit in self.group.units:
            unit.accounts.add_user(name, password, role, remote)

    async def start(self, context: ssl.SSLContext) -> None:
        for name, front in self.fronts.items():
            self.servers[name] = await https.serve(front.answer, self.host, 0, context)

    def addresses(self) -> dict[str, str]:
        return {name: f"{self.host}:{https.port_of(server)}" for name, server in self.servers.items()}

    def seed(self, objects: list[Json]) -> None:
        """Puts objects on all units, as if they had always been there: saved, and in sync."""
        for unit in self.group.units:
            unit.running = self.planted(unit, objects)
        for unit in self.group.units:
            unit.running.commit = self.group.units[0].running.commit
            unit.saved = unit.running.copy()
        self.group.base = self.group.units[0].running.commit
        self.group.on_change()

    def plant(self, unit: Unit, objects: list[Json]) -> None:
        """Puts objects on one unit, as its administrator would."""
        unit.running = self.planted(unit, objects)
        self.group.changed(unit)

    @staticmethod
    def planted(unit: Unit, objects: list[Json]) -> Configuration:
        def act(change: Change) -> Configuration:
            for item in objects:
                plant(change, dict(item))
            change.configuration.changed()
            return change.configuration
        return unit.change("admin", act, apply=False)

    def close(self) -> None:
        for server in self.servers.values():
            server.close()
        self.plane.close()


def plant(change: Change, item: Json) -> None:
    """One object: the body that REST takes, with its kind, and `content` where a file has its sourcePath."""
    resource = KINDS.get(str(item.pop("kind", "")))
    if resource is None:
        raise ValueError(f"kind is one of {', '.join(KINDS)}")
    path = str(item.get("name", "")) if str(item.get("name", "")).startswith("/") else \
        f"/{item.get('partition', 'Common')}/{item.get('name', '')}"
    if item.pop("delete", False):
        resource.delete(change, path)
        return
    if isinstance(resource, FileResource):
        content = str(item.pop("content", "")).encode()
        item["sourcePath"] = f"file:/var/config/rest/downloads/{path.rsplit('/', 1)[1]}"
        change.read_upload = lambda _path: content
    if change.configuration.find(resource.kind, path) is None:
        resource.create(change, item)
    else:
        resource.modify(change, path, item, replace=False)


def example(authority: Authority, host: str) -> list[Json]:
    """A virtual server with a certificate that waits to be renewed."""
    key_pair = rsa.generate_private_key(65537, 2048)
    certificate, key = authority.issue("www.example.com", ["www.example.com", "localhost", host], key_pair)
    return [
        {"kind": "ssl-cert", "name": "www_2024_Q3.crt", "content": certificate.decode()},
        {"kind": "ssl-key", "name": "www_2024_Q3.key", "content": key.decode()},
        {"kind": "client-ssl", "name": "www_clientssl", "serverName": "www.example.com", "sniDefault": "true",
         "certKeyChain": [{"name": "www_2024_Q3_0", "cert": "/Common/www_2024_Q3.crt",
                           "key": "/Common/www_2024_Q3.key"}]},
        {"kind": "virtual", "name": "vs_www", "destination": "/Common/10.10.10.10:443",
         "profiles": [{"name": "/Common/tcp"}, {"name": "/Common/http"}, {"name": "/Common/www_clientssl"}]}]
