"""What mcpd checks about a configuration as a whole, before it takes the place of the old one.

Only the end state counts: within a transaction a key may differ from its certificate for a while, and a file may be deleted
before the profile lets go of it.
"""
from . import names, pem, profiles
from .configuration import Configuration, Entry, certificate, key_of
from .profiles import CERTIFICATE_FIELDS, PROFILES, find_profile
from .resource import Change
from .virtuals import profile_missing
from .wire import Invalid, Json

SSL_KINDS = ("client-ssl", "server-ssl")
FILES = ("ssl-cert", "ssl-key")
REFERENCES = ("cert", "key", "chain", *CERTIFICATE_FIELDS)


def check(before: Configuration, change: Change) -> None:
    """Raises what the device would say first; order as in the OpenShift router's mock: key, then certificate."""
    after, paths = change.configuration, {path for _, path in change.touched}
    if all(kind in FILES and before.find(kind, path) is None for kind, path in change.touched):
        return  # nobody refers to new files yet
    only_files = all(kind in FILES for kind, _ in change.touched)
    for kind in SSL_KINDS:
        for entry in after.all(kind):
            if concerns(entry, paths) or (kind == "server-ssl" and not only_files):
                check_profile(before, change, entry)
    if only_files:
        return
    for kind in PROFILES:
        for entry in after.all(kind):
            if entry.path in paths or entry.values.get("defaultsFrom") in paths:
                check_parent(change, entry)
    destinations: dict[tuple[str, str, str], str] = {}
    for virtual in after.all("virtual"):
        check_virtual(before, after, virtual)
        check_destination(virtual, destinations)


def concerns(profile: Entry, paths: set[str]) -> bool:
    """Whether a change of these objects can make a client-ssl profile invalid. What it inherits is judged where it is set."""
    values = profile.values
    if profile.path in paths or values.get("defaultsFrom") in paths:
        return True
    for item in [values, *values.get("certKeyChain", ())]:
        for name in REFERENCES:
            if item.get(name) in paths:
                return True
    return False


def check_profile(before: Configuration, change: Change, profile: Entry) -> None:
    pairs = profiles.pairs_of(change.configuration, profile)
    algorithms = []
    for pair in pairs:
        check_references(before, change, pair)
        algorithms.append(check_pair(change, profile, pair))
    for name in CERTIFICATE_FIELDS:
        path = profile.values.get(name, "none")
        if path != "none" and change.configuration.find("ssl-cert", path) is None:
            raise file_missing(before, change, "ssl-cert", path)
    if profile.kind == "client-ssl":
        check_algorithms(change, profile, algorithms)


def check_references(before: Configuration, change: Change, pair: Json) -> None:
    for name, kind in (("key", "ssl-key"), ("cert", "ssl-cert"), ("chain", "ssl-cert")):
        path = pair.get(name, "none")
        if path != "none" and change.configuration.find(kind, path) is None:
            raise file_missing(before, change, kind, path)


def file_missing(before: Configuration, change: Change, kind: str, path: str) -> Invalid:
    if before.find(kind, path):
        return Invalid(400, f"01071349:3: File object by name ({path}) is in use.")
    if kind == "ssl-key" and change.version.tells_missing_keys:
        return Invalid(400, f"01070277:3: The requested key ({path}) was not found.")
    return Invalid(400, f"0107134a:3: File object by name ({names.base_name(path)}) is missing.")


def check_pair(change: Change, profile: Entry, pair: Json) -> str:
    """The pair's algorithm."""
    certificate_entry = change.configuration.find("ssl-cert", pair["cert"])
    key_entry = change.configuration.find("ssl-key", pair.get("key", "none"))
    if certificate_entry is None or key_entry is None:
        raise mismatch(change, profile, pair)
    try:
        key = key_of(key_entry, pair.get("passphrase"))
    except pem.NeedsPassphrase:
        # F5Networks/f5-ansible #2131.
        raise Invalid(400, f"01070313:3: Error reading key PEM file {pair['key']} for profile {profile.path}: "
                           "error:0906A068:PEM routines:PEM_do_header:bad password read") from None
    if key.digest != certificate(certificate_entry).key.digest:
        raise mismatch(change, profile, pair)
    return key.algorithm


def mismatch(change: Change, profile: Entry, pair: Json) -> Invalid:
    wanted = change.options.mismatch_names_pair
    if wanted == "yes" or (wanted == "auto" and change.version.number >= (16, 1)):
        return Invalid(400, f"01070317:3: profile {profile.path}'s key({pair.get('key')}) and certificate("
                            f"{pair['cert']}) do not match.")
    return Invalid(400, f"01070317:3: profile {profile.path}'s key and certificate do not match")


def check_algorithms(change: Change, profile: Entry, algorithms: list[str]) -> None:
    if not algorithms or ("rsa" not in algorithms and change.version.number[0] < change.options.rsa_needed_below):
        raise Invalid(400, "010717e3:3: Client SSL profile must have RSA certificate/key pair.")
    for algorithm in algorithms:
        if algorithms.count(algorithm) > 1:
            raise Invalid(400, f"simulator: the client SSL profile {profile.path} has more than one {algorithm} pair")


def check_parent(change: Change, profile: Entry) -> None:
    parent = profile.values.get("defaultsFrom", "none")
    if parent != "none" and change.configuration.find(profile.kind, parent) is None:
        raise Invalid(400, f"simulator: the profile {parent} is the parent of {profile.path}")


def check_virtual(before: Configuration, after: Configuration, virtual: Entry) -> None:
    seen: set[str] = set()
    sides: dict[str, list[Entry]] = {}
    for item in virtual.values["profiles"]:
        path = item["path"]
        if path in seen:
            raise Invalid(400, f"01070097:3: Virtual server {virtual.path} lists duplicate profiles.")
        seen.add(path)
        profile = find_profile(after, path)
        if profile is None:
            raise profile_gone(before, virtual, path)
        if profile.kind in SSL_KINDS:
            sides.setdefault(profile.kind, []).append(profile)
    for side in sides.values():
        if len(side) > 1:
            check_server_names(after, virtual, side)


def profile_gone(before: Configuration, virtual: Entry, path: str) -> Invalid:
    old = find_profile(before, path)
    if old is None:
        return profile_missing(path)
    return Invalid(400, f"01070265:3: The {PROFILES[old.kind].word} ({path}) cannot be deleted because it is in use by a "
                        f"virtual server profile ({virtual.path} {path}).")


def check_server_names(after: Configuration, virtual: Entry, side: list[Entry]) -> None:
    several = f"Virtual server {virtual.path} has more than one clientssl/serverssl profile"
    default = [p for p in side if profiles.effective(after, p, "sniDefault") == "true"]
    if not default:
        raise Invalid(400, f"0107149c:3: {several} but none of them is default for SNI.")
    if len(default) > 1:
        raise Invalid(400, f"01071809:3: {several.replace('server', 'Server', 1)} that is default for SNI.")
    asked = [profiles.effective(after, p, "serverName") for p in side]
    given = [name for name in asked if name not in (None, "none")]
    if len(set(given)) < len(given):
        raise Invalid(400, f"0107149e:3: {several} with same server name.")


def check_destination(virtual: Entry, seen: dict[tuple[str, str, str], str]) -> None:
    """F5Networks/terraform-provider-bigip #317."""
    where = (virtual.values["destination"], virtual.values.get("source", "0.0.0.0/0"),
             str(virtual.values.get("ipProtocol", "tcp")))
    other = seen.setdefault(where, virtual.path)
    if other != virtual.path:
        raise Invalid(400, f"01070333:3: Virtual Server {virtual.path} illegally shares destination address, source "
                           f"address, service port, ip-protocol, and vlan with Virtual Server {other}.")
