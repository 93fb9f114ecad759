"""A throw-away CA for the addresses of the units, and self-made certificates for the built-in objects."""
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 30
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def pem_certificate(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def pem_key(key: Key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


class Authority:
    def __init__(self, common: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._build(common, self.key, common, [], ca=True)

    def issue(self, common: str, names: list[str], key: Key | None = None) -> tuple[bytes, bytes]:
        """Certificate and key in PEM."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        return pem_certificate(self._build(common, key, None, names, ca=False)), pem_key(key)

    def _build(self, common: str, key: Key, issuer: str | None, names: list[str], ca: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        authority = name(issuer) if issuer else self.certificate.subject
        builder = (
            x509.CertificateBuilder().subject_name(name(common)).issuer_name(authority).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=DAYS))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        if ca:
            builder = builder.add_extension(key_usage(signs=True), critical=True)
        else:
            builder = builder.add_extension(key_usage(signs=False), critical=True).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(general_name, names))), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def key_usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False)


def default_pair() -> tuple[bytes, bytes]:
    """/Common/default.crt and default.key: RSA, self-signed."""
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = name("localhost.localdomain")
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=3650)).sign(key, hashes.SHA256()))
    return pem_certificate(certificate), pem_key(key)


def write_private(path: pathlib.Path, content: bytes) -> None:
    """Readable by the owner alone, from the first moment on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
