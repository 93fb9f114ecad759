"""sys/crypto cert, key and pkcs12: tmsh's install command."""
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from . import names, pem, query
from .call import Call
from .clock import utc_text
from .configuration import Entry, certificate
from .resource import Change
from .routing import Deferred, Routes
from .sslfiles import CERTIFICATES, KEYS, FileResource
from .wire import FILE_OR_TMSH, Invalid, Json

TEMPORARY = "/var/system/tmp/tmsh/5WhAFq"


def places_of(body: Json) -> list[Json]:
    """Where a value may stand: in the body itself, or in one of its options."""
    options = body.get("options")
    return [body, *[option for option in options if isinstance(option, dict)]] if isinstance(options, list) else [body]


def source_of(body: Json) -> str:
    """from-local-file, or fromLocalFile, or inside options."""
    for place in places_of(body):
        for key in ("from-local-file", "fromLocalFile"):
            if isinstance(place.get(key), str):
                return str(place[key])
    raise Invalid(400, "simulator: install needs from-local-file", FILE_OR_TMSH)


def passphrase_of(body: Json) -> str | None:
    for place in places_of(body):
        if place.get("passphrase"):
            return str(place["passphrase"])
    return None


def read_local(change: Change, body: Json) -> tuple[str, bytes]:
    source = source_of(body)
    content = change.read_upload(source)
    if content is None:
        raise Invalid(400, f"Unable to copy ({source}) into tempfile ({TEMPORARY}/{names.base_name('/' + source)}), "
                           "No such file or directory", FILE_OR_TMSH)
    return source, content


def check_command(body: Json) -> None:
    if body.get("command") != "install":
        raise Invalid(400, "simulator: the only command of sys/crypto is install", FILE_OR_TMSH)
    if body.get("securityType", "normal") not in ("normal", "password"):
        raise Invalid(400, "simulator: keys in hardware are not played", FILE_OR_TMSH)


def check_passphrase(content: bytes, path: str, passphrase: str | None) -> None:
    """The texts are those that a third-party client looks for; what surrounds them is not verified."""
    if passphrase is None:
        return
    if not pem.is_encrypted(content):
        raise Invalid(400, f"Passphrase specified, but key {path} is not protected by one", FILE_OR_TMSH)
    try:
        pem.read_key(content, passphrase)
    except pem.NeedsPassphrase:
        raise Invalid(400, f"Unable to verify key {path} is protected by provided passphrase", FILE_OR_TMSH) from None


def installed_path(change: Change, body: Json, suffix: str) -> str:
    path = names.named_in(body)
    return path if path.endswith(suffix) or not change.version.appends_suffixes else path + suffix


def install(resource: FileResource, suffix: str) -> Callable[..., Callable[[], Json | None]]:
    def act(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        check_command(body)
        source, content = read_local(change, body)
        path = installed_path(change, body, suffix)
        passphrase = passphrase_of(body)
        if resource is KEYS:
            check_passphrase(content, path, passphrase)
        resource.install(change, path, content, {"passphrase": passphrase} if passphrase else {}, source)
        word = "cert" if resource is CERTIFICATES else "key"

        def render() -> Json:
            if call.unit.options.install_polls:
                call.unit.installs[(resource.kind, path)] = call.unit.options.install_polls
            # Deduced: an echo of the request, without what is secret.
            return {"kind": f"tm:sys:crypto:{word}:installstate"} | {
                key: value for key, value in body.items() if key not in ("passphrase", "options")}
        return render
    return act


def key_name_of(body: Json) -> tuple[Json, str | None]:
    """A client that works around ID1124209 appends :key=NAME to the file."""
    source, marker, name = source_of(body).partition(":key=")
    return (body | {"from-local-file": source}, name) if marker else (body, None)


def install_pkcs12(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
    check_command(body)
    body, key_name = key_name_of(body)
    source, content = read_local(change, body)
    passphrase = passphrase_of(body)
    try:
        key, leaf, _others = pkcs12.load_key_and_certificates(content, passphrase.encode() if passphrase else None)
    except ValueError:
        raise Invalid(400, "simulator: the PKCS12 file cannot be read with this passphrase", FILE_OR_TMSH) from None
    if key is None or leaf is None:
        raise Invalid(400, "simulator: the PKCS12 file lacks its key or certificate", FILE_OR_TMSH)
    wanted = body.get("keyPassphrase")
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if isinstance(wanted, str) and wanted:
        protection = serialization.BestAvailableEncryption(wanted.encode())
    pem_key = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    secret = {"passphrase": wanted} if wanted else {}
    KEYS.install(change, installed_path(change, body | {"name": key_name or body.get("name")}, ".key"), pem_key, secret, source)
    CERTIFICATES.install(change, installed_path(change, body, ".crt"),
                         leaf.public_bytes(serialization.Encoding.PEM), {}, source)
    return lambda: {"kind": "tm:sys:crypto:pkcs12:installstate"} | {
        name: value for name, value in body.items() if name in ("command", "name", "partition", "from-local-file")}


def show_certificate(call: Call, entry: Entry) -> Json:
    facts = certificate(entry)
    shown: Json = {
        "kind": "tm:sys:crypto:cert:certstate", "name": entry.path, "fullPath": entry.path,
        "generation": entry.generation, "selfLink": link(call, "cert", entry.path), "apiRawValues": {
            "certificateKeySize": str(facts.key.bits), "expiration": facts.expires_text, "issuer": facts.issuer,
            "publicKeyType": facts.key.algorithm.upper()}}
    if facts.dns_names:
        shown["commonName"] = facts.dns_names[0]
    if call.unit.version.has_fingerprint:
        shown["fingerprint"] = facts.fingerprint
    if facts.names:
        shown["subjectAlternativeName"] = ", ".join(facts.names)
    return shown


def show_key(call: Call, entry: Entry) -> Json:
    file = KEYS.show(call.unit.running, call.unit.version, entry)
    return {"kind": "tm:sys:crypto:key:keystate", "name": entry.path, "fullPath": entry.path,
            "generation": entry.generation, "selfLink": link(call, "key", entry.path),
            "keySize": str(file.get("keySize", "")), "keyType": file.get("keyType", ""),
            "securityType": file["securityType"], "creationDate": utc_text(call.unit.clock.now())}


def link(call: Call, word: str, path: str) -> str:
    return names.link(f"/tm/sys/crypto/{word}/{names.identifier(path)}", call.unit.version.text)


def add_routes(routes: Routes) -> None:
    add_objects(routes, CERTIFICATES, "cert", ".crt", show_certificate)
    add_objects(routes, KEYS, "key", ".key", show_key)
    routes.add("POST", "/mgmt/tm/sys/crypto/pkcs12", Deferred(install_pkcs12))


def add_objects(routes: Routes, resource: FileResource, word: str, suffix: str,
                show: Callable[[Call, Entry], Json]) -> None:
    url = f"/mgmt/tm/sys/crypto/{word}"

    def read_all(call: Call) -> Json:
        shown = [show(call, entry) for entry in call.unit.running.all(resource.kind)]
        return query.collection(f"/tm/sys/crypto/{word}", f"tm:sys:crypto:{word}:{word}", call.unit.version.text, shown,
                                call.request.query)

    def read(call: Call, ident: str) -> Json:
        path = names.full_path(ident)
        left = call.unit.installs.pop((resource.kind, path), 0)
        if left > 0:
            call.unit.installs[(resource.kind, path)] = left - 1
            raise Invalid(404, f"01020036:3: The requested {resource.word} ({path}) was not found.")
        return show(call, resource.existing(call.unit.running, path))

    def delete(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        resource.delete(change, names.full_path(places[0]))
        return lambda: None

    routes.add("GET", url, read_all)
    routes.add("GET", f"{url}/{{id}}", read)
    routes.add("POST", url, Deferred(install(resource, suffix)))
    routes.add("DELETE", f"{url}/{{id}}", Deferred(delete))
