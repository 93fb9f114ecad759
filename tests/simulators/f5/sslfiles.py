"""sys/file/ssl-cert and ssl-key."""
import urllib.parse

from . import names, pem
from .clock import utc_text
from .configuration import Configuration, Entry, certificate
from .resource import Change, Resource, as_text
from .versions import Version
from .wire import FILE_OR_TMSH, Invalid, Json

# Not seen on a device: what it says about a file that it cannot parse.
UNREADABLE = "simulator: the file holds no {what} that can be read"


class FileResource(Resource):
    what = ""

    def make(self, change: Change, path: str, body: Json) -> Entry:
        return self.store(change, path, body, self.read_source(change, body), None)

    def rewrite(self, change: Change, entry: Entry, body: Json, replace: bool) -> Entry:
        # A file is read again even when the text of its sourcePath stays the same.
        content = self.read_source(change, body) if "sourcePath" in body or replace else entry.content
        return self.store(change, entry.path, body, content, entry)

    def read_source(self, change: Change, body: Json) -> bytes:
        source = body.get("sourcePath")
        if not isinstance(source, str):
            raise Invalid(400, "one or more configuration identifiers must be provided", FILE_OR_TMSH)
        parts = urllib.parse.urlsplit(source)
        content = change.read_upload(parts.path) if parts.scheme == "file" else None
        if content is None:
            raise Invalid(400, "Failed! exit_code (37).\n", FILE_OR_TMSH)
        return content

    def store(self, change: Change, path: str, body: Json, content: bytes, before: Entry | None) -> Entry:
        self.check_content(content, body)
        now, old = utc_text(change.now), before.values if before else {}
        fresh = before is None or "sourcePath" in body
        source = body.get("sourcePath", old.get("sourcePath"))
        values = {key: body.get(key, old.get(key)) for key in self.writable if key in body or key in old}
        values |= {
            "sourcePath": source, "createTime": old.get("createTime", now),
            "createdBy": old.get("createdBy", change.user), "lastUpdateTime": now, "updatedBy": change.user,
            "revision": old.get("revision", 0) + 1 if fresh else old["revision"]}
        return change.put(self.kind, path, values, content)

    def check_content(self, content: bytes, body: Json) -> None:
        raise NotImplementedError

    def install(self, change: Change, path: str, content: bytes, body: Json, source: str) -> Entry:
        """As tmsh's install command: overwrites what is there."""
        self.require_partition(change, path)
        known = {key: body[key] for key in ("passphrase",) if key in body and key in self.writable}
        return self.store(change, path, {**known, "sourcePath": f"file://{source}"}, content,
                          change.configuration.find(self.kind, path))

    def common(self, version: Version, entry: Entry) -> Json:
        return self.envelope(version, entry) | {
            "checksum": pem.checksum(entry.content), "createTime": entry.values["createTime"],
            "createdBy": entry.values["createdBy"], "lastUpdateTime": entry.values["lastUpdateTime"],
            "revision": entry.values["revision"], "size": len(entry.content), "updatedBy": entry.values["updatedBy"]}

    @staticmethod
    def origin(entry: Entry) -> Json:
        key = "systemPath" if "systemPath" in entry.values else "sourcePath"
        return {key: entry.values[key]}


class CertificateFiles(FileResource):
    kind, url, type = "ssl-cert", "/tm/sys/file/ssl-cert", "tm:sys:file:ssl-cert:ssl-cert"
    word, what = "Certificate File", "certificate"
    writable = frozenset({"sourcePath", "certValidationOptions", "issuerCert"})
    read_only = frozenset({
        "certificateKeyCurveName", "certificateKeySize", "checksum", "createTime", "createdBy", "expirationDate",
        "expirationString", "fingerprint", "isBundle", "issuer", "keyType", "lastUpdateTime", "mode", "revision",
        "serialNumber", "size", "subject", "subjectAlternativeName", "systemPath", "updatedBy", "version"})

    def check_content(self, content: bytes, body: Json) -> None:
        try:
            pem.read_certificates(content)
        except pem.Malformed:
            raise Invalid(400, UNREADABLE.format(what=self.what), FILE_OR_TMSH) from None

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        facts = certificate(entry)
        shown = self.common(version, entry) | {
            "certificateKeyCurveName": facts.key.curve, "certificateKeySize": facts.key.bits,
            "expirationDate": facts.expires, "expirationString": facts.expires_text,
            "isBundle": "true" if facts.count > 1 else "false", "issuer": facts.issuer,
            "keyType": f"{facts.key.algorithm}-public", "mode": 33188, "serialNumber": facts.serial,
            "subject": facts.subject, "version": facts.version} | self.origin(entry)
        if version.has_fingerprint:
            shown["fingerprint"] = facts.fingerprint
        if facts.names:
            shown["subjectAlternativeName"] = ", ".join(facts.names)
        shown |= {key: entry.values[key] for key in ("certValidationOptions", "issuerCert") if key in entry.values}
        for part in ("bundleCertificates", "certValidators"):
            words = "bundle-certificates" if part == "bundleCertificates" else "cert-validators"
            below = f"{self.url}/{names.identifier(entry.path)}/{words}"
            shown[f"{part}Reference"] = {"link": names.link(below, version.text), "isSubcollection": True}
        return shown


class KeyFiles(FileResource):
    kind, url, type = "ssl-key", "/tm/sys/file/ssl-key", "tm:sys:file:ssl-key:ssl-key"
    word, what = "Certificate Key File", "key"
    writable = frozenset({"sourcePath", "passphrase"})
    read_only = frozenset({
        "checksum", "createTime", "createdBy", "curveName", "keySize", "keyType", "lastUpdateTime", "mode", "revision",
        "securityType", "size", "systemPath", "updatedBy"})

    def check_content(self, content: bytes, body: Json) -> None:
        passphrase = as_text(body["passphrase"], "passphrase") if "passphrase" in body else None
        if pem.is_encrypted(content) and passphrase is None:
            return  # whoever uses it in a profile has to know the passphrase
        try:
            pem.read_key(content, passphrase)
        except (pem.Malformed, pem.NeedsPassphrase):
            raise Invalid(400, UNREADABLE.format(what=self.what), FILE_OR_TMSH) from None

    def show(self, configuration: Configuration, version: Version, entry: Entry, expand: bool = False) -> Json:
        shown = self.common(version, entry) | {
            "mode": 33184, "securityType": "password" if pem.is_encrypted(entry.content) else "normal"}
        try:
            facts = pem.read_key(entry.content, entry.values.get("passphrase"))
            shown |= {"curveName": facts.curve, "keySize": facts.bits, "keyType": f"{facts.algorithm}-private"}
        except pem.NeedsPassphrase:
            pass  # its kind cannot be seen from outside
        return shown | self.origin(entry)


CERTIFICATES, KEYS = CertificateFiles(), KeyFiles()
