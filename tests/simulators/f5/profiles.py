"""client-ssl, server-ssl and the other profiles: inheritance, certKeyChain, what is shown."""
from collections.abc import Iterator
from typing import Any

from . import names, pem
from .configuration import Configuration, Entry, certificate
from .resource import Change, Resource, as_flag, as_text, like_default, require_visible
from .versions import Version
from .wire import FILE_OR_TMSH, Invalid, Json

# What is shown for a profile that sets nothing; the source is the captured sample in F5Networks/f5-ansible,
# load_ltm_profile_clientssl.json (13.0). Most of it is only stored and shown again.
CLIENT_DEFAULTS: Json = {
    "alertTimeout": "indefinite", "allowExpiredCrl": "disabled", "allowNonSsl": "disabled", "appService": "none",
    "authenticate": "once", "authenticateDepth": 9, "caFile": "none", "cacheSize": 262144, "cacheTimeout": 3600,
    "cipherGroup": "none", "ciphers": "DEFAULT", "clientCertCa": "none", "crlFile": "none", "description": "none",
    "genericAlert": "enabled", "handshakeTimeout": "10", "maxRenegotiationsPerMinute": 5, "mode": "enabled",
    "ocspStapling": "disabled", "tmOptions": ["dont-insert-empty-fragments"], "peerCertMode": "ignore",
    "proxyCaCert": "none", "proxyCaKey": "none", "proxySsl": "disabled", "renegotiation": "enabled",
    "retainCertificate": "true", "secureRenegotiation": "require", "serverName": "none", "sessionTicket": "disabled",
    "sniDefault": "false", "sniRequire": "false", "sslForwardProxy": "disabled", "strictResume": "disabled",
    "uncleanShutdown": "enabled"}
SERVER_DEFAULTS: Json = {
    "appService": "none", "authenticate": "once", "authenticateDepth": 9, "authenticateName": "none", "caFile": "none",
    "cert": "none", "chain": "none", "ciphers": "DEFAULT", "crlFile": "none", "description": "none",
    "expireCertResponseControl": "drop", "key": "none", "mode": "enabled", "peerCertMode": "ignore",
    "secureRenegotiation": "require-strict", "serverName": "none", "sniDefault": "false", "sniRequire": "false",
    "untrustedCertResponseControl": "drop"}
CERTIFICATE_FIELDS = ("caFile", "clientCertCa", "proxyCaCert")  # beside the pairs
FLAGS = ("sniDefault", "sniRequire")
CHAIN_ITEM = frozenset({"name", "appService", "cert", "chain", "key", "passphrase", "usage"})
LONGEST_INHERITANCE = 16


def ancestry(configuration: Configuration, entry: Entry) -> Iterator[Entry]:
    """The profile, its parent, and so on."""
    for _ in range(LONGEST_INHERITANCE):
        yield entry
        parent = configuration.find(entry.kind, entry.values.get("defaultsFrom", "none"))
        if parent is None or parent.path == entry.path:
            return
        entry = parent


def effective(configuration: Configuration, entry: Entry, name: str) -> Any:
    for ancestor in ancestry(configuration, entry):
        if name in ancestor.values:
            return ancestor.values[name]
    return None


def chain_of(configuration: Configuration, profile: Entry) -> list[Json]:
    """The certKeyChain in force, own or inherited."""
    found: list[Json] | None = effective(configuration, profile, "certKeyChain")
    return found or []


def pairs_of(configuration: Configuration, profile: Entry) -> list[Json]:
    """What a profile presents: items with cert, key, chain and perhaps a passphrase."""
    if profile.kind == "client-ssl":
        return chain_of(configuration, profile)
    pair = {name: effective(configuration, profile, name) or "none" for name in ("cert", "key", "chain")}
    passphrase = effective(configuration, profile, "passphrase")
    return [] if pair["cert"] == "none" else [pair | ({"passphrase": passphrase} if passphrase else {})]


def algorithm_of(configuration: Configuration, item: Json) -> str:
    """"rsa", "ec", "dsa", or "" while it cannot be told."""
    entry = configuration.find("ssl-cert", item["cert"])
    return certificate(entry).key.algorithm if entry else ""


class Profiles(Resource):
    """Any type of profile; those of SSL refine it."""

    def __init__(self, kind: str, word: str, base: str) -> None:
        self.kind, self.word, self.base = kind, word, base
        self.url = f"/tm/ltm/profile/{kind}"
        self.type = f"tm:ltm:profile:{kind}:{kind}"
        self.writable = frozenset({"defaultsFrom", "description"})

    def make(self, change: Change, path: str, body: Json) -> Entry:
        for kind in PROFILE_KINDS:
            if change.configuration.find(kind, path):
                raise Invalid(400, f"01070293:3: The profile name ({path}) is already assigned to another profile.")
        parent = names.reference(body.get("defaultsFrom", self.base))
        self.require_parent(change, path, parent)
        return change.put(self.kind, path, {"defaultsFrom": parent} | self.settings(change, path, body, {}))

    def rewrite(self, change: Change, entry: Entry, body: Json, replace: bool) -> Entry:
        parent = names.reference(body.get("defaultsFrom", self.base if replace else
                                          entry.values.get("defaultsFrom", self.base)))
        if entry.path != self.base:
            self.require_parent(change, entry.path, parent)
        kept = self.originals(entry) if replace else dict(entry.values)
        if entry.path != self.base:
            kept["defaultsFrom"] = parent
        return change.put(self.kind, entry.path, kept | self.settings(change, entry.path, body, kept))

    def delete(self, change: Change, path: str) -> None:
        if path == self.base:
            raise Invalid(400, f"simulator: the profile {path} is built in")
        super().delete(change, path)

    def originals(self, entry: Entry) -> Json:
        """What a PUT that says nothing leaves: the base profile has no parent to fall back to."""
        return dict(entry.values) if entry.path == self.base else {}

    def require_parent(self, change: Change, path: str, parent: str) -> None:
        if change.configuration.find(self.kind, parent) is None:
            raise Invalid(400, f"01020036:3: The requested {self.word} ({parent}) was not found.")
        require_visible(path, parent)

    def settings(self, change: Change, path: str, body: Json, kept: Json) -> Json:
        """What the body sets; may take something out of `kept`."""
        ours = self.writable - {"defaultsFrom"}
        return {key: value for key, value in body.items() if key in ours}

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        shown = self.envelope(version, entry)
        for ancestor in reversed(list(ancestry(configuration, entry))):
            shown |= {key: value for key, value in ancestor.values.items() if key != "defaultsFrom"}
        parent = entry.values.get("defaultsFrom", "none")
        shown["defaultsFrom"] = parent
        if parent != "none":
            shown["defaultsFromReference"] = {"link": self.link(version, parent)}
        return shown


def file_link(version: Version, kind: str, path: str) -> Json:
    return {"link": names.link(f"/tm/sys/file/{kind}/{names.identifier(path)}", version.text)}


def show_pair(version: Version, item: Json) -> Json:
    """cert, key and chain with their references, without the passphrase."""
    shown: Json = {}
    for name, kind in (("cert", "ssl-cert"), ("chain", "ssl-cert"), ("key", "ssl-key")):
        shown[name] = item.get(name, "none")
        if shown[name] != "none":
            shown[f"{name}Reference"] = file_link(version, kind, shown[name])
    return shown


def hide_passphrase(passphrase: str) -> str:
    """Stored passphrases read back encrypted, and different from what was sent."""
    return "$M$" + pem.checksum(passphrase.encode())[-22:]


def pair_fields(path: str, body: Json) -> Json:
    """cert, key, chain of a body as full paths."""
    given = {}
    for name in ("cert", "key", "chain"):
        if name in body:
            given[name] = names.reference(body[name])
            require_visible(path, given[name])
    return given


class SslProfiles(Profiles):
    defaults: Json = {}

    def settings(self, change: Change, path: str, body: Json, kept: Json) -> Json:
        simple = {key: as_flag(value, key) if key in FLAGS else like_default(self.defaults[key], value, key)
                  for key, value in body.items() if key in self.defaults and key not in ("cert", "key", "chain")}
        for key in CERTIFICATE_FIELDS:
            if key in simple:
                simple[key] = names.reference(simple[key])
                require_visible(path, simple[key])
        return simple


class ServerSslProfiles(SslProfiles):
    defaults = SERVER_DEFAULTS

    def __init__(self) -> None:
        super().__init__("server-ssl", "ServerSSL Profile", "/Common/serverssl")
        self.writable = frozenset(SERVER_DEFAULTS) | {"defaultsFrom", "passphrase"}

    def settings(self, change: Change, path: str, body: Json, kept: Json) -> Json:
        set_here = super().settings(change, path, body, kept) | pair_fields(path, body)
        if "passphrase" in body:
            set_here["passphrase"] = as_text(body["passphrase"], "passphrase")
        return set_here

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        shown = super().show(configuration, version, entry)
        if "passphrase" in shown:
            shown["passphrase"] = hide_passphrase(shown["passphrase"])
        return shown | show_pair(version, {name: shown.get(name, "none") for name in ("cert", "key", "chain")})


class ClientSslProfiles(SslProfiles):
    defaults = CLIENT_DEFAULTS

    def __init__(self) -> None:
        super().__init__("client-ssl", "ClientSSL Profile", "/Common/clientssl")
        self.writable = frozenset(CLIENT_DEFAULTS) | {
            "defaultsFrom", "cert", "key", "chain", "passphrase", "certKeyChain", "inheritCertkeychain",
            "inheritCaCertkeychain"}

    def settings(self, change: Change, path: str, body: Json, kept: Json) -> Json:
        set_here = super().settings(change, path, body, kept)
        pair = any(body.get(name, "none") != "none" for name in ("cert", "key", "chain", "passphrase"))
        if "certKeyChain" in body and pair and change.version.refuses_both_chain_forms:
            raise Invalid(400, f"01b4002a:3: Client SSL profile ({path}): cert-key-chain and profile cert/key/chain/"
                               "passphrase options cannot be specified together.")
        if as_flag(body.get("inheritCertkeychain", "false"), "inheritCertkeychain") == "true":
            kept.pop("certKeyChain", None)
        elif "certKeyChain" in body:
            set_here["certKeyChain"] = self.read_chain(path, body["certKeyChain"])
        elif any(name in body for name in ("cert", "key", "chain", "passphrase")):
            set_here["certKeyChain"] = self.with_pair(change, path, body, kept)
        return set_here

    def read_chain(self, path: str, items: Any) -> list[Json]:
        """The whole new array."""
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Invalid(400, "one or more configuration identifiers must be provided", FILE_OR_TMSH)
        chain: list[Json] = []
        for item in items:
            unknown = [key for key in item if key not in CHAIN_ITEM and not key.endswith("Reference")]
            if unknown:
                raise Invalid(400, f"simulator, strict: {unknown[0]} is no property of certKeyChain", FILE_OR_TMSH)
            entry = {"chain": "none"} | pair_fields(path, item)
            if "none" in (entry.get("cert", "none"), entry.get("key", "none")):
                raise Invalid(400, f"simulator: an item of certKeyChain of {path} lacks its cert or key")
            entry["name"] = as_text(item.get("name", ""), "name") or self.item_name(entry["cert"], chain)
            if any(other["name"] == entry["name"] for other in chain):
                raise Invalid(400, f"simulator: two items of certKeyChain of {path} are named {entry['name']}")
            if item.get("passphrase"):
                entry["passphrase"] = as_text(item["passphrase"], "passphrase")
            chain.append(entry)
        return chain

    @staticmethod
    def item_name(certificate_path: str, chain: list[Json]) -> str:
        """As the device names an item by itself: www_2024_Q4_0."""
        return f"{names.base_name(certificate_path).removesuffix('.crt')}_{len(chain)}"

    def with_pair(self, change: Change, path: str, body: Json, kept: Json) -> list[Json]:
        """The chain after cert, key, chain or passphrase were set directly: they mean the RSA pair."""
        given = pair_fields(path, body)
        if body.get("passphrase"):
            given["passphrase"] = as_text(body["passphrase"], "passphrase")
        own: list[Json] = list(kept.get("certKeyChain", []))
        if change.version.refuses_both_chain_forms:
            self.require_rsa(change, path, given, own)
        for at, item in enumerate(own):
            if algorithm_of(change.configuration, item) == "rsa":
                changed = item | given
                return own[:at] + ([changed] if changed["cert"] != "none" else []) + own[at + 1:]
        if given.get("cert", "none") == "none" or given.get("key", "none") == "none":
            raise Invalid(400, "010717e3:3: Client SSL profile must have RSA certificate/key pair.")
        return own + [{"chain": "none"} | given | {"name": self.item_name(given["cert"], own)}]

    @staticmethod
    def require_rsa(change: Change, path: str, given: Json, own: list[Json]) -> None:
        if own and not any(algorithm_of(change.configuration, item) == "rsa" for item in own):
            raise Invalid(400, f"01b4002b:3: Client SSL profile ({path}): the profile has no RSA cert/key pair that can "
                               "be modified. To add RSA cert/key, please use [cert-key-chain add].")
        if "cert" in given and algorithm_of(change.configuration, given) not in ("rsa", ""):
            # F5Networks/terraform-provider-bigip #839, seen on 16.1.
            raise Invalid(400, f"01b40029:3: Client SSL profile ({path}): {given.get('key')} is not RSA key. To add "
                               "non-RSA cert/key, please use [cert-key-chain add].")

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        shown = super().show(configuration, version, entry)
        chain = chain_of(configuration, entry)
        rsa = [item for item in chain if algorithm_of(configuration, item) == "rsa"]
        shown |= show_pair(version, rsa[0] if rsa else {})
        shown["inheritCertkeychain"] = "false" if "certKeyChain" in entry.values else "true"
        if version.has_ca_certkeychain:
            shown["inheritCaCertkeychain"] = effective(configuration, entry, "inheritCaCertkeychain") or "true"
        shown["certKeyChain"] = [self.show_item(version, item) for item in chain]
        return shown

    @staticmethod
    def show_item(version: Version, item: Json) -> Json:
        shown = {"name": item["name"], "appService": "none"} | show_pair(version, item)
        if "passphrase" in item:
            shown["passphrase"] = hide_passphrase(item["passphrase"])
        return shown


CLIENT_SSL, SERVER_SSL = ClientSslProfiles(), ServerSslProfiles()
PROFILES: dict[str, Profiles] = {"client-ssl": CLIENT_SSL, "server-ssl": SERVER_SSL} | {
    kind: Profiles(kind, f"{kind} Profile", f"/Common/{base}") for kind, base in
    (("tcp", "tcp"), ("udp", "udp"), ("http", "http"), ("fastl4", "fastL4"), ("one-connect", "oneconnect"))}
PROFILE_KINDS = tuple(PROFILES)


def find_profile(configuration: Configuration, path: str) -> Entry | None:
    """A profile of any type; their names are unique across types."""
    for kind in PROFILE_KINDS:
        entry = configuration.find(kind, path)
        if entry:
            return entry
    return None
