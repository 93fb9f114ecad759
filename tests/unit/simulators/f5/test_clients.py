"""Clients that others wrote: they know devices, not us. dev/setup installs them into the cache."""
import os
import pathlib
import subprocess
import tempfile

from played import SECONDS, Played
from scene import pair_of

HERE = pathlib.Path(__file__).parent


def environment() -> pathlib.Path:
    cache = os.environ.get("CERTFLOW_CACHE") or pathlib.Path(
        os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "certflow"
    return pathlib.Path(cache) / "f5-clients"


class Clients(Played):
    def run_client(self, script: str) -> None:
        python = environment() / "bin" / "python"
        self.assertTrue(python.exists(), f"{python} is missing; dev/setup installs it")
        with tempfile.TemporaryDirectory() as folder:
            for name in ("first", "second"):
                certificate, key = pair_of(f"{name}.example.com")
                (pathlib.Path(folder) / f"{name}.crt").write_text(certificate)
                (pathlib.Path(folder) / f"{name}.key").write_text(key)
            # requests prefers the bundle of the environment to the one it is given, and our package is named f5 too.
            done = subprocess.run(
                [python, "-W", "ignore", HERE / script, self.words["inventory"], folder], capture_output=True, text=True,
                timeout=4 * SECONDS, env={"REQUESTS_CA_BUNDLE": self.words["ca"], "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.served(self.words["vs_www"], "www.example.com"), "second.example.com")
        state = self.steer("GET", "/state")["units"]
        self.assertEqual((state["a"]["saves"], state["a"]["unsaved"]), (1, False))


class F5Sdk(Clients):
    def test_deploys_a_certificate(self) -> None:
        self.run_client("with_f5_sdk.py")
        state = self.steer("GET", "/state")["units"]
        self.assertEqual((state["a"]["tokens"], state["b"]["syncStatus"]), (0, "In Sync"))
        self.steer("POST", "/failover", {"unit": "b"})
        self.assertEqual(self.served(self.words["vs_www"], "www.example.com"), "second.example.com")


class BigRest(Clients):
    def test_deploys_a_certificate(self) -> None:
        self.run_client("with_bigrest.py")


class BigRestOf12(BigRest):
    arguments = ("--version", "12.1")


class BigRestOf17(BigRest):
    arguments = ("--version", "17.1")
