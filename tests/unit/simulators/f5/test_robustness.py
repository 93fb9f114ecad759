"""Whatever is sent, the simulator answers as a device would, with a refusal, and never fails itself."""
import random
from typing import Any

from scene import CERT, CLIENT_SSL, KEY, SERVER_SSL, TRANSACTION, VIRTUAL, Scene, pair_of

SEED = 20240607
ODD: tuple[Any, ...] = (None, True, 7, -1, "", "none", "/", "/a", "~", "x", "/Common/default.crt", [], {}, ["x"], [{}],
                        [{"name": 1}], {"name": "x"}, [[]], "file:", "file:/var/config/rest/downloads/up", "true", 1e300)
PAIR = {"name": "x", "cert": "/Common/x.crt", "key": "/Common/x.key", "chain": "none", "passphrase": "p"}
SOURCE = "file:/var/config/rest/downloads/x.crt"
INSTALL = {"command": "install", "name": "x.crt", "partition": "Common", "passphrase": "p", "securityType": "normal",
           "from-local-file": "/var/config/rest/downloads/x.crt", "options": [{"from-local-file": "x"}]}
PROFILE = {"name": "new", "partition": "Common", "defaultsFrom": "/Common/clientssl", "serverName": "x", "sniDefault": "true",
           "caFile": "/Common/x.crt", "inheritCertkeychain": "false", "certKeyChain": [PAIR]}
SCALARS = {"name": "new", "defaultsFrom": "/Common/serverssl", "cert": "/Common/x.crt", "key": "/Common/x.key",
           "chain": "none", "passphrase": "p", "sniRequire": "false", "serverName": "none"}
SERVER = {"name": "new", "destination": "/Common/10.0.0.9:443", "enabled": True, "profiles": [{"name": "p", "context": "all"}],
          "source": "0.0.0.0/0", "ipProtocol": "tcp"}
# What is right; some of it is then replaced by something odd.
RIGHT: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", CERT, {"name": "n.crt", "partition": "Common", "sourcePath": SOURCE}),
    ("PATCH", f"{CERT}/~Common~x.crt", {"sourcePath": SOURCE}), ("PUT", f"{CERT}/~Common~x.crt", {"sourcePath": SOURCE}),
    ("POST", KEY, {"name": "n.key", "sourcePath": SOURCE.replace("crt", "key"), "passphrase": "p"}),
    ("PATCH", f"{KEY}/~Common~x.key", {"sourcePath": SOURCE.replace("crt", "key"), "passphrase": "p"}),
    ("POST", CLIENT_SSL, PROFILE), ("PATCH", f"{CLIENT_SSL}/~Common~p", PROFILE), ("PUT", f"{CLIENT_SSL}/~Common~p", PROFILE),
    ("PATCH", f"{CLIENT_SSL}/~Common~clientssl", PROFILE), ("POST", CLIENT_SSL, SCALARS), ("POST", SERVER_SSL, SCALARS),
    ("PATCH", f"{CLIENT_SSL}/~Common~p", SCALARS), ("PATCH", f"{SERVER_SSL}/~Common~serverssl", SCALARS),
    ("POST", VIRTUAL, SERVER), ("PATCH", f"{VIRTUAL}/~Common~vs", SERVER), ("PUT", f"{VIRTUAL}/~Common~vs", SERVER),
    ("POST", f"{VIRTUAL}/~Common~vs/profiles", {"name": "http", "partition": "Common", "context": "all"}),
    ("PATCH", f"{VIRTUAL}/~Common~vs/profiles/~Common~p", {"context": "clientside"}),
    ("POST", TRANSACTION, {"timeoutSeconds": 1}), ("PATCH", f"{TRANSACTION}/1", {"state": "VALIDATING", "validateOnly": True}),
    ("PATCH", f"{TRANSACTION}/1/commands/1", {"evalOrder": 1}), ("POST", "/mgmt/tm/sys/config", {"command": "save"}),
    ("POST", "/mgmt/tm/cm", {"command": "run", "utilCmdArgs": "config-sync to-group failover_group"}),
    ("POST", "/mgmt/tm/util/unix-rm", {"command": "run", "utilCmdArgs": "/x"}), ("POST", "/mgmt/tm/sys/crypto/cert", INSTALL),
    ("POST", "/mgmt/tm/sys/crypto/key", INSTALL), ("POST", "/mgmt/tm/sys/crypto/pkcs12", INSTALL),
    ("POST", "/mgmt/tm/task/sys/config", {"command": "save"}),
    ("PUT", "/mgmt/tm/task/sys/config/123456", {"_taskState": "VALIDATING"}),
    ("POST", "/mgmt/tm/task/cm/config-sync", {"command": "run", "options": [{"to-group": "failover_group"}]}),
    ("PATCH", "/mgmt/shared/authz/tokens/x", {"timeout": 1}),
    ("POST", "/mgmt/shared/authn/login", {"username": "svc", "password": "secret", "loginProviderName": "tmos"}),
    ("POST", "/mgmt/tm/auth/partition", {"name": "x", "description": "d"}), ("POST", "/mgmt/tm/sys/folder", {"name": "x"}),
    ("POST", "/mgmt/tm/ltm/profile/tcp", {"name": "x", "defaultsFrom": "/Common/tcp"}))


def odd(chance: random.Random, right: Any) -> Any:
    """The same with something in it that does not belong there."""
    if isinstance(right, dict) and right and chance.random() < 0.8:
        name = chance.choice([*right, "added"])
        return right | {name: odd(chance, right.get(name))}
    if isinstance(right, list) and right and chance.random() < 0.5:
        return [odd(chance, item) for item in right]
    return chance.choice(ODD)


class OddRequests(Scene):
    def test_are_refused(self) -> None:
        self.install("x", pair_of("x.example.com"))
        self.good(self.profile("p", "x"))
        self.good(self.ask("POST", VIRTUAL, {"name": "vs", "destination": "10.0.0.1:443", "profiles": ["/Common/p"]}))
        chance, before, statuses = random.Random(SEED), self.a.running, set()
        for _ in range(5000):
            method, path, right = chance.choice(RIGHT)
            body = right if chance.random() < 0.1 else odd(chance, right)
            self.pair.options.strict_fields = chance.random() < 0.5
            answer = self.ask(method, path, body)
            self.assertNotIn("it failed itself", answer.text, f"seed {SEED}: {method} {path} {body}")
            shown = self.ask("GET", path)  # what was taken can be shown
            self.assertNotIn("it failed itself", shown.text, f"seed {SEED}: {method} {path} {body}")
            statuses.add(answer.status)
            self.a.running = before
        self.assertLessEqual({200, 400, 401, 404, 409}, statuses)

    def test_bodies_that_are_no_objects(self) -> None:
        for body in (b"{", b"[]", b"7", b"\xff", b'"x"'):
            answer = self.ask("POST", CLIENT_SSL, body)
            self.assertEqual((answer.status, answer.json["kind"]), (400, ":resterrorresponse"))
