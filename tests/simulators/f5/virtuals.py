"""Virtual servers and the profiles on them."""
import re
from typing import Any

from . import names
from .configuration import Configuration, Entry
from .profiles import find_profile
from .resource import Change, Resource, like_default, require_visible
from .versions import Version
from .wire import FILE_OR_TMSH, Invalid, Json

CONTEXTS = ("all", "clientside", "serverside")
# As in the captured sample of F5Networks/f5-ansible, load_ltm_virtual_2.json; only stored and shown again.
DEFAULTS: Json = {
    "addressStatus": "yes", "autoLasthop": "default", "cmpEnabled": "yes", "connectionLimit": 0, "gtmScore": 0,
    "ipProtocol": "tcp", "mask": "255.255.255.255", "mirror": "disabled", "mobileAppTunnel": "disabled",
    "nat64": "disabled", "rateLimit": "disabled", "rateLimitDstMask": 0, "rateLimitMode": "object",
    "rateLimitSrcMask": 0, "serviceDownImmediateAction": "none", "source": "0.0.0.0/0",
    "sourceAddressTranslation": {"type": "none"}, "sourcePort": "preserve", "synCookieStatus": "not-activated",
    "translateAddress": "enabled", "translatePort": "enabled"}
OPTIONAL = frozenset({"description", "pool", "rules", "persist", "policies", "vlans", "vlansEnabled", "vlansDisabled",
                      "fallbackPersistence", "metadata"})
DESTINATION = re.compile(r"(?:/[^/]+/)?(?P<address>[0-9.]+(?:%\d+)?:|[0-9a-fA-F:]+(?:%\d+)?\.)(?P<port>\d+|[a-z]+)")
SERVICES = {"any": "0", "http": "80", "https": "443"}


def read_destination(path: str, value: object) -> str:
    """/Common/10.10.10.10:443, or /Common/2001:db8::1.443 for IPv6."""
    match = DESTINATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not isinstance(value, str):
        raise Invalid(400, f"simulator: {value} is no destination; write /Common/10.10.10.10:443", FILE_OR_TMSH)
    folder = value.rsplit("/", 1)[0] if value.startswith("/") else f"/{names.partition(path)}"
    return f"{folder}/{match['address']}{SERVICES.get(match['port'], match['port'])}"


def default_context(entry: Entry | None) -> str:
    return {"client-ssl": "clientside", "server-ssl": "serverside"}.get(entry.kind if entry else "", "all")


class VirtualServers(Resource):
    kind, url, type, word = "virtual", "/tm/ltm/virtual", "tm:ltm:virtual:virtual", "Virtual Server"
    writable = frozenset(DEFAULTS) | OPTIONAL | {"destination", "enabled", "disabled", "profiles"}
    read_only = frozenset({"creationTime", "lastModifiedTime", "vsIndex", "evictionProtected"})

    def make(self, change: Change, path: str, body: Json) -> Entry:
        if "destination" not in body:
            raise Invalid(400, f"simulator: the virtual server {path} needs a destination", FILE_OR_TMSH)
        return self.rewrite_values(change, path, {"enabled": True, "profiles": []}, body)

    def rewrite(self, change: Change, entry: Entry, body: Json, replace: bool) -> Entry:
        kept = {"enabled": True, "profiles": [], "destination": entry.values["destination"]} if replace else \
            dict(entry.values)
        return self.rewrite_values(change, entry.path, kept, body)

    def rewrite_values(self, change: Change, path: str, kept: Json, body: Json) -> Entry:
        values = kept | {key: like_default(DEFAULTS[key], value, key) if key in DEFAULTS else value
                         for key, value in body.items() if key in DEFAULTS or key in OPTIONAL}
        if "destination" in body:
            values["destination"] = read_destination(path, body["destination"])
        if body.get("enabled") is True and body.get("disabled") is True:
            raise Invalid(400, "simulator: a virtual server is either enabled or disabled", FILE_OR_TMSH)
        if "enabled" in body or "disabled" in body:
            values["enabled"] = body.get("enabled") is True or body.get("disabled") is False
        if "profiles" in body:  # the whole new list
            values["profiles"] = self.read_profiles(change, path, body["profiles"])
        return change.put(self.kind, path, values)

    def read_profiles(self, change: Change, path: str, items: Any) -> list[Json]:
        if not isinstance(items, list):
            raise Invalid(400, "one or more configuration identifiers must be provided", FILE_OR_TMSH)
        profiles: list[Json] = []
        for item in items:
            profiles.append(self.read_profile(change, path, {"name": item} if isinstance(item, str) else item))
        return profiles

    def read_profile(self, change: Change, path: str, item: Any) -> Json:
        if not isinstance(item, dict):
            raise Invalid(400, "one or more configuration identifiers must be provided", FILE_OR_TMSH)
        profile = names.named_in(item)
        require_visible(path, profile)
        found = find_profile(change.configuration, profile)
        context = item.get("context", default_context(found))
        if context not in CONTEXTS:
            raise Invalid(400, f"simulator: context {context} is none of {', '.join(CONTEXTS)}", FILE_OR_TMSH)
        return {"path": profile, "context": context}

    def attach(self, change: Change, path: str, body: Json) -> Json:
        entry = self.existing(change.configuration, path)
        profile = self.read_profile(change, path, body)
        if find_profile(change.configuration, profile["path"]) is None:
            raise profile_missing(profile["path"])
        change.put(self.kind, path, entry.values | {"profiles": entry.values["profiles"] + [profile]})
        return profile

    def detach(self, change: Change, path: str, profile: str) -> None:
        entry = self.existing(change.configuration, path)
        self.attached(entry, profile)
        left = [item for item in entry.values["profiles"] if item["path"] != profile]
        change.put(self.kind, path, entry.values | {"profiles": left})

    def reattach(self, change: Change, path: str, profile: str, body: Json) -> None:
        """PATCH or PUT of one item: its context is all that can change."""
        entry = self.existing(change.configuration, path)
        self.attached(entry, profile)
        item = self.read_profile(change, path, body | {"name": profile})
        change.put(self.kind, path, entry.values | {
            "profiles": [item if old["path"] == profile else old for old in entry.values["profiles"]]})

    @staticmethod
    def attached(entry: Entry, profile: str) -> Json:
        for item in entry.values["profiles"]:
            if item["path"] == profile:
                return dict(item)
        raise Invalid(404, f"01020036:3: The requested Virtual Server Profile ({entry.path} {profile}) was not found.")

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        state: Json = {"enabled": True} if entry.values["enabled"] else {"disabled": True}
        values = {key: value for key, value in entry.values.items() if key not in ("enabled", "profiles")}
        shown: Json = self.envelope(version, entry) | DEFAULTS | values | state
        below = f"{self.url}/{names.identifier(entry.path)}"
        shown["policiesReference"] = {
            "link": names.link(f"{below}/policies", version.text), "isSubcollection": True}
        shown["profilesReference"] = {
            "link": names.link(f"{below}/profiles", version.text), "isSubcollection": True}
        if expand:
            shown["profilesReference"]["items"] = self.show_profiles(configuration, version, entry)
        return shown

    def show_profiles(self, configuration: Configuration, version: Version, entry: Entry) -> list[Json]:
        return [self.show_profile(configuration, version, entry, item) for item in entry.values["profiles"]]

    def show_profile(self, configuration: Configuration, version: Version, entry: Entry, item: Json) -> Json:
        path = item["path"]
        below = f"{self.url}/{names.identifier(entry.path)}/profiles/{names.identifier(path)}"
        found = find_profile(configuration, path)
        shown = {
            "kind": "tm:ltm:virtual:profiles:profilesstate", "name": names.base_name(path),
            "partition": names.partition(path), "fullPath": path, "generation": entry.generation,
            "selfLink": names.link(below, version.text), "context": item["context"]}
        if found:
            target = f"/tm/ltm/profile/{found.kind}/{names.identifier(path)}"
            shown["nameReference"] = {"link": names.link(target, version.text)}
        return shown


def profile_missing(path: str) -> Invalid:
    return Invalid(400, f"01020036:3: The requested profile ({path}) was not found.")


VIRTUALS = VirtualServers()
