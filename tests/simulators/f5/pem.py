"""What a device reads out of certificate and key files. OpenSSL does the parsing."""
import base64
import calendar
import functools
import hashlib
import re
import time
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s*", re.DOTALL)
CURVES = {"secp256r1": "prime256v1"}  # as OpenSSL names them; the others have one name
BIGGEST_DECIMAL_SERIAL = (1 << 63) - 1


class Malformed(ValueError):
    """The file holds no certificate or key that can be read."""


class NeedsPassphrase(ValueError):
    """The key is encrypted, and the passphrase is missing or wrong."""


@dataclass(frozen=True)
class PublicKey:
    algorithm: str  # "rsa", "ec", "dsa"
    bits: int
    curve: str  # "none" except for "ec"
    digest: str  # of the key itself; a pair matches when these are equal


@dataclass(frozen=True)
class CertificateFile:
    key: PublicKey
    subject: str
    issuer: str
    names: tuple[str, ...]  # subject alternative names, in OpenSSL's words
    dns_names: tuple[str, ...]  # what TLS clients may ask for
    serial: str
    expires: int
    expires_text: str
    fingerprint: str
    version: int
    count: int  # certificates in the file; everything above is about the first


def checksum(content: bytes) -> str:
    return f"SHA1:{len(content)}:{hashlib.sha1(content).hexdigest()}"


def describe_key(key: Any) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey):
        algorithm, curve = "rsa", "none"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        algorithm, curve = "ec", CURVES.get(key.curve.name, key.curve.name)
    elif isinstance(key, dsa.DSAPublicKey):
        algorithm, curve = "dsa", "none"
    else:
        raise Malformed("a key that is neither RSA, EC nor DSA")
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(algorithm, key.key_size, curve, hashlib.sha256(encoded).hexdigest())


def name_text(general: x509.GeneralName) -> str | None:
    words = {x509.DNSName: "DNS", x509.RFC822Name: "email", x509.UniformResourceIdentifier: "URI",
             x509.IPAddress: "IP Address"}
    word = words.get(type(general))
    return f"{word}:{general.value}" if word else None


def serial_text(number: int) -> str:
    if number <= BIGGEST_DECIMAL_SERIAL:
        return str(number)
    digits = f"{number:x}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[at:at + 2] for at in range(0, len(digits), 2))


def expiry_text(seconds: int) -> str:
    return time.strftime("%b %e %H:%M:%S %Y GMT", time.gmtime(seconds))


def fingerprint_text(certificate: x509.Certificate) -> str:
    digest = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return "SHA256/" + ":".join(digest[at:at + 2] for at in range(0, len(digest), 2))


@functools.lru_cache(maxsize=4096)
def read_certificates(content: bytes) -> CertificateFile:
    """Malformed when a certificate of the file cannot be read, or there is none."""
    blocks = CERTIFICATE.findall(content)
    try:
        parsed = [x509.load_pem_x509_certificate(block) for block in blocks]
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not parsed:
        raise Malformed("no certificate")
    first = parsed[0]
    try:
        general = list(first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        general = []
    common = [str(a.value) for a in first.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    dns = [n.value for n in general if isinstance(n, x509.DNSName)]
    expires = calendar.timegm(first.not_valid_after.utctimetuple())
    return CertificateFile(
        key=describe_key(first.public_key()), subject=first.subject.rfc4514_string(),
        issuer=first.issuer.rfc4514_string(), names=tuple(t for t in map(name_text, general) if t),
        dns_names=tuple(dict.fromkeys(common + dns)), serial=serial_text(first.serial_number), expires=expires,
        expires_text=expiry_text(expires), fingerprint=fingerprint_text(first), version=first.version.value + 1,
        count=len(parsed))


def is_encrypted(content: bytes) -> bool:
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in content or b"Proc-Type: 4,ENCRYPTED" in content


@functools.lru_cache(maxsize=4096)
def read_key(content: bytes, passphrase: str | None) -> PublicKey:
    """The public half of a private key. Malformed, or NeedsPassphrase."""
    encrypted = is_encrypted(content)
    if encrypted and not passphrase:
        raise NeedsPassphrase("encrypted")
    quick = None if encrypted else rsa_public_key(content)
    if quick is not None:
        return describe_key(quick)
    try:
        key = serialization.load_pem_private_key(content, passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError):
        raise (NeedsPassphrase if encrypted else Malformed)("unreadable") from None
    return describe_key(key.public_key())


# --- RSA keys, without the search for primes that OpenSSL's check of a private key begins with (50 ms for each new key) ---

RSA_KEY = re.compile(rb"-----BEGIN (RSA )?PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END (?:RSA )?PRIVATE KEY-----")
RSA_ENCRYPTION = bytes.fromhex("2a864886f70d010101")  # its object identifier
SEQUENCE, INTEGER, OCTETS, IDENTIFIER = 0x30, 0x02, 0x04, 0x06


def elements(der: bytes) -> list[tuple[int, bytes]]:
    """The elements of a DER structure, as tag and content; ValueError for anything else."""
    found, at = [], 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("an element without a length")
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at:at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("an element that is cut short")
        found.append((tag, der[at:at + length]))
        at += length
    return found


def rsa_public_key(content: bytes) -> rsa.RSAPublicKey | None:
    """The public half of an RSA key whose numbers belong together; None leaves the judgement to OpenSSL."""
    match = RSA_KEY.search(content)
    if match is None:
        return None
    try:
        ((tag, inner),) = elements(base64.b64decode(match[2]))
        if not match[1]:  # PKCS 8: version, algorithm, and the key in an octet string
            _, (_, algorithm), (tag, key), *_ = elements(inner)
            if elements(algorithm)[0] != (IDENTIFIER, RSA_ENCRYPTION) or tag != OCTETS:
                return None
            ((tag, inner),) = elements(key)
        numbers = [int.from_bytes(value, "big") for kind, value in elements(inner) if kind == INTEGER]
        _, n, e, d, p, q, *_ = numbers
        if tag != SEQUENCE or p * q != n or (e * d - 1) % (p - 1) or (e * d - 1) % (q - 1):
            return None
        return rsa.RSAPublicNumbers(e, n).public_key()
    except (ValueError, ZeroDivisionError):
        return None
