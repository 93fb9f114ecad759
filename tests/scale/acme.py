"""Certificates from an ACME server (Pebble), proved by DNS-01 at a name server (BIND)."""

import contextlib
import os
import subprocess

import objects
import plane as planes
import progress
from due import measure
from objects import AUTHORITIES, SECRETS
from replica import Replica

ZONE = "example.test"


class Peer:
    """A program of tests/peers: ends when its standard input closes."""

    def __init__(self, plane, name, *args, folder=None):
        self.folder = os.path.join(plane.folder, folder or name)
        self._argv = ["setpriv", "--pdeathsig", "TERM", "--",
                      os.path.join(planes.ROOT, "tests/peers", name), self.folder, *args]

    def __enter__(self):
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         start_new_session=True)
        line = self._process.stdout.readline().split()
        if not line or line[0] != "ready":
            raise RuntimeError(f"{self._argv[4]} does not start")
        self.says = dict(pair.split("=", 1) for pair in line[1:])
        return self

    def __exit__(self, *_):
        planes.end(self._process)

    @property
    def pid(self):
        return self._process.pid


@contextlib.contextmanager
def acme_authority(plane):
    """The CertificateAuthority `acme`; gives a function that counts the orders which the server ever had."""
    with Peer(plane, "bind", "--zone", ZONE) as bind, \
            Peer(plane, "pebble", "--dns", bind.says["dns"]) as pebble:
        plane.create(SECRETS, objects.allowed("tsig", {"key": bind.says["key_secret"]}))
        solver = {"dns01": {"rfc2136": {"nameserver": bind.says["dns"], "tsigKeyName": bind.says["key_name"],
                                        "tsigSecretRef": {"name": "tsig", "key": "key"}}}}
        plane.create(AUTHORITIES, {"apiVersion": "certflow.dev/v1alpha1", "kind": "CertificateAuthority",
                                   "metadata": {"name": "acme", "namespace": objects.NAMESPACE},
                                   "spec": {"acme": {"server": pebble.says["directory"], "caBundle": objects.read(pebble.says["ca"]),
                                                     "accountKeySecretRef": {"name": "acme-account"},
                                                     "solvers": [solver]}}})

        def orders():
            with open(os.path.join(pebble.folder, "pebble.log"), encoding="utf-8") as log:
                return sum("Added order " in line for line in log)

        yield orders


def acme(plane, count):
    with acme_authority(plane) as orders, Replica(plane, "acme") as replica:
        replica.leading()
        figures = measure(plane, replica, count, "acme", ZONE, 120 + 10 * count)
        progress.figure("acme", **figures, orders=orders())
