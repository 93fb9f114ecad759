"""What the tests of the simulator share: a pair in memory, asked without sockets, and key material made once."""
from __future__ import annotations

import base64
import functools
import json
import pathlib
import tempfile
import unittest
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from f5 import versions
from f5.authority import Authority, Key, default_pair
from f5.clock import Clock
from f5.control import Control
from f5.pair import Pair
from f5.unit import Unit
from f5.wire import Json, Request, Response

BEGIN = 1_700_000_000.0
DOWNLOADS = "/var/config/rest/downloads"
CERT, KEY, CHAIN = "/mgmt/tm/sys/file/ssl-cert", "/mgmt/tm/sys/file/ssl-key", "/mgmt/tm/sys/file/ssl-cert"
CLIENT_SSL, SERVER_SSL = "/mgmt/tm/ltm/profile/client-ssl", "/mgmt/tm/ltm/profile/server-ssl"
VIRTUAL, TRANSACTION = "/mgmt/tm/ltm/virtual", "/mgmt/tm/transaction"


@functools.cache
def authority() -> Authority:
    return Authority("test CA")


@functools.cache
def default() -> tuple[bytes, bytes]:
    return default_pair()


@functools.cache
def pair_of(name: str, algorithm: str = "rsa", number: int = 0) -> tuple[str, str]:
    """Certificate and key in PEM; `number` tells one from the next of the same name."""
    key: Key = rsa.generate_private_key(65537, 2048) if algorithm == "rsa" else ec.generate_private_key(ec.SECP256R1())
    certificate, private = authority().issue(name, [name], key)
    return certificate.decode(), private.decode()


@functools.cache
def encrypted_pair(name: str, passphrase: str) -> tuple[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    certificate, _ = authority().issue(name, [name], key)
    protected = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.BestAvailableEncryption(passphrase.encode()))
    return certificate.decode(), protected.decode()


class Answer:
    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.text = response.body.decode()
        self.content_type = response.content_type
        self.reason = response.reason

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Scene(unittest.TestCase):
    """A pair of units, a and b, at a moment that stands still; subclasses choose the version."""
    version = "15.1"
    units = 2

    def setUp(self) -> None:
        self.clock = Clock(frozen_at=BEGIN)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.pair = Pair(1, versions.version(self.version), self.clock, self.units, "127.0.0.1", self.folder, default())
        self.pair.group.on_change = lambda: None  # nobody listens
        for name, role in (("admin", "admin"), ("svc", "admin"), ("cert", "certificate-manager"), ("res", "resource-admin"),
                           ("viewer", "guest")):
            self.pair.add_user(name, "secret", role)
        self.pair.add_user("ldap", "secret", "admin", remote=True)
        self.a = self.pair.unit("a")
        self.b = self.pair.unit("b") if self.units > 1 else self.a
        self.control = Control([self.pair], self.clock, dict)

    def ask(self, method: str, path: str, body: Any = None, user: str | None = "svc", unit: str = "a",
            headers: dict[str, str] | None = None, token: str | None = None, **query: str) -> Answer:
        """`query` is written with the dollar left out: top=2 is $top=2."""
        sent = {"content-type": "application/json"} if not isinstance(body, bytes) else {}
        if token:
            sent["x-f5-auth-token"] = token
        elif user:
            sent["authorization"] = "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = {name if name == "expandSubcollections" else f"${name}": value for name, value in query.items()}
        request = Request(method, path, fields, sent | (headers or {}), data)
        return Answer(self.pair.fronts[unit].rest.handle(request))

    def steer(self, method: str, path: str, body: Any = None) -> Answer:
        """Asks the scripts' side."""
        data = b"" if body is None else json.dumps(body).encode()
        return Answer(self.control.handle(Request(method, path, body=data)))

    def good(self, answer: Answer) -> Any:
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json if answer.text else None

    def refused(self, answer: Answer, status: int, beginning: str) -> None:
        self.assertEqual(answer.status, status, answer.text)
        self.assertTrue(answer.message.startswith(beginning), answer.message)

    def log_in(self, user: str = "svc", unit: str = "a", **more: Any) -> Answer:
        return self.ask("POST", "/mgmt/shared/authn/login", {
            "username": user, "password": "secret", "loginProviderName": "tmos"} | more, user=None, unit=unit)

    def upload(self, name: str, content: str, unit: str = "a") -> str:
        data = content.encode()
        self.good(self.ask("POST", f"/mgmt/shared/file-transfer/uploads/{name}", data, unit=unit, headers={
            "content-type": "application/octet-stream", "content-range": f"0-{len(data) - 1}/{len(data)}"}))
        return f"file:{DOWNLOADS}/{name}"

    def install(self, name: str, pair: tuple[str, str], unit: str = "a", **more: Any) -> None:
        """/Common/NAME.crt and NAME.key."""
        for suffix, url, content in ((".key", KEY, pair[1]), (".crt", CERT, pair[0])):
            source = self.upload(name + suffix, content, unit)
            extra = more if suffix == ".key" else {}
            self.good(self.ask("POST", url, {"name": name + suffix, "sourcePath": source} | extra, unit=unit))

    @staticmethod
    def chain(*names: str, **more: str) -> list[Json]:
        return [{"name": f"{name}_0", "cert": f"/Common/{name}.crt", "key": f"/Common/{name}.key"} | more
                for name in names]

    def profile(self, name: str, *pairs: str, **more: Any) -> Answer:
        return self.ask("POST", CLIENT_SSL, {"name": name} | ({"certKeyChain": self.chain(*pairs)} if pairs else {}) | more)

    def start_transaction(self, unit: str = "a") -> str:
        return str(self.good(self.ask("POST", TRANSACTION, {}, unit=unit))["transId"])

    def queue(self, ident: str, method: str, path: str, body: Any = None) -> Answer:
        return self.ask(method, path, body, headers={"x-f5-rest-coordination-id": ident})

    def commit(self, ident: str, **more: Any) -> Answer:
        return self.ask("PATCH", f"{TRANSACTION}/{ident}", {"state": "VALIDATING"} | more)

    def status(self, unit: str = "a") -> str:
        return str(self.sync_entries(unit)["status"]["description"])

    def sync_entries(self, unit: str = "a") -> Json:
        shown = self.good(self.ask("GET", "/mgmt/tm/cm/sync-status", unit=unit))
        (outer,) = shown["entries"].values()
        entries: Json = outer["nestedStats"]["entries"]
        return entries

    def details(self, unit: str = "a") -> list[str]:
        inner = self.sync_entries(unit)["https://localhost/mgmt/tm/cm/syncStatus/0/details"]["nestedStats"]["entries"]
        return [value["nestedStats"]["entries"]["details"]["description"] for value in inner.values()]

    def sync(self, unit: str = "a", words: str = "to-group failover_group") -> Answer:
        return self.ask("POST", "/mgmt/tm/cm", {"command": "run", "utilCmdArgs": f"config-sync {words}"}, unit=unit)


__all__ = ["Answer", "Scene", "Unit"]
