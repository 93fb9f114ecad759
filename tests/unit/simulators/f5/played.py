"""A simulator in a process of its own, as tests/peers/f5 starts it, and small clients for it."""
from __future__ import annotations

import base64
import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import unittest
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

ROOT = pathlib.Path(__file__).resolve().parents[4]
SECONDS = 30


class Played(unittest.TestCase):
    """One simulator for a class of tests; `arguments` may be set by subclasses."""
    arguments: tuple[str, ...] = ()
    words: dict[str, str]
    inventory: Any
    process: subprocess.Popen[bytes]

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.process = subprocess.Popen(
            [str(ROOT / "tests/peers/f5"), folder.name, *cls.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cls.addClassCleanup(cls.stop)
        assert cls.process.stdout is not None
        ready, *words = cls.process.stdout.readline().decode().split()
        assert ready == "ready"
        cls.words = dict(word.split("=", 1) for word in words)
        cls.inventory = json.loads(pathlib.Path(cls.words["inventory"]).read_text())

    @classmethod
    def stop(cls) -> None:
        """As lib.sh asks of a peer: it ends when its standard input closes."""
        assert cls.process.stdin is not None and cls.process.stdout is not None
        cls.process.stdin.close()
        code = cls.process.wait(SECONDS)
        cls.process.stdout.close()
        assert code == 0, code

    def setUp(self) -> None:
        self.steer("DELETE", "/faults")
        self.steer("DELETE", "/requests")
        self.connection = self.connect("a")

    # --- clients -----------------------------------------------------------------------------------------------------

    def steer(self, method: str, path: str, body: Any = None) -> Any:
        client = http.client.HTTPConnection(self.words["control"], timeout=SECONDS)
        client.request(method, path, None if body is None else json.dumps(body))
        answer = client.getresponse()
        text = answer.read()
        client.close()
        self.assertEqual(answer.status, 200, text)
        return json.loads(text)

    def connect(self, unit: str) -> http.client.HTTPSConnection:
        client = http.client.HTTPSConnection(
            self.words[unit], timeout=SECONDS, context=ssl.create_default_context(cafile=self.words["ca"]))
        self.addCleanup(client.close)
        return client

    def headers(self) -> dict[str, str]:
        basic = base64.b64encode(f"{self.words['user']}:{self.words['password']}".encode()).decode()
        return {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
            unit: str = "") -> tuple[int, bytes]:
        client = self.connect(unit) if unit else self.connection
        client.request(method, path, body if isinstance(body, bytes) or body is None else json.dumps(body),
                       self.headers() | (headers or {}))
        answer = client.getresponse()
        return answer.status, answer.read()

    def good(self, answer: tuple[int, bytes]) -> Any:
        self.assertEqual(answer[0], 200, answer[1])
        return json.loads(answer[1]) if answer[1] else None

    def handshake(self, address: str, asked: str | None) -> x509.Certificate:
        """The certificate that is served."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), SECONDS) as plain, \
                context.wrap_socket(plain, server_hostname=asked) as tls:
            served = tls.getpeercert(binary_form=True)
        assert served is not None
        return x509.load_der_x509_certificate(served)

    def served(self, address: str, asked: str | None) -> str:
        """Its common name."""
        (name,) = self.handshake(address, asked).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)
