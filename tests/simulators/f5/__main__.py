"""usage: python3 -m f5 DIR [options]   (with tests/simulators in PYTHONPATH; tests/peers/f5 and dev/f5-simulator do that)

Plays BIG-IP pairs on loopback until its standard input closes, or SIGTERM. DIR gets ca.pem (the CA of all units),
inventory.json (everything that is printed here, and more) and nothing that is secret but the password in inventory.json.
Prints one line: ready control=... ca=... user=... password=... a=... b=... inventory=...
"""
import argparse
import asyncio
import json
import os
import pathlib
import secrets
import signal
import ssl
import sys
import threading

from . import https, versions
from .authority import Authority, default_pair, pem_certificate, write_private
from .clock import Clock
from .control import Control
from .pair import GROUP, Pair, example
from .wire import Json

USER, BUILT_IN = "svc", "admin"
# Beside `svc` (an administrator with the limit of tokens) and `admin`; all with the same password.
OTHER_USERS = (("certmgr", "certificate-manager", False), ("resadmin", "resource-admin", False),
               ("viewer", "guest", False), ("ldapsvc", "admin", True))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="f5", description="plays BIG-IP pairs on loopback")
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=1, help="how many pairs (default 1)")
    parser.add_argument("--standalone", action="store_true", help="single units instead of pairs")
    parser.add_argument("--version", default="15.1", choices=list(versions.PLAYED), help="of TMOS (default 15.1)")
    parser.add_argument("--listen-address", default="127.0.0.1", help="an address of 127.0.0.0/8 (default 127.0.0.1)")
    parser.add_argument("--empty", action="store_true", help="without the example virtual server /Common/vs_www")
    return parser.parse_args()


class Simulator:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.folder = given, given.dir
        self.folder.mkdir(parents=True, exist_ok=True)
        self.clock, self.password = Clock(), secrets.token_hex(12)
        self.authority = Authority("certflow test CA for BIG-IP")
        private = self.folder / "private"
        private.mkdir(mode=0o700, exist_ok=True)
        default = default_pair()
        version = versions.version(given.version)
        self.pairs = [Pair(number, version, self.clock, 1 if given.standalone else 2, given.listen_address, private,
                           default) for number in range(1, given.pairs + 1)]
        self.control_address = ""

    async def start(self) -> None:
        write_private(self.folder / "ca.pem", pem_certificate(self.authority.certificate))
        (self.folder / "ca.pem").chmod(0o644)
        context = self.management_context()
        objects = [] if self.given.empty else example(self.authority, self.given.listen_address)
        for pair in self.pairs:
            pair.add_user(USER, self.password, "admin")
            pair.add_user(BUILT_IN, self.password, "admin")
            for name, role, remote in OTHER_USERS:
                pair.add_user(name, self.password, role, remote)
            await pair.start(context)
            pair.seed(objects)
        control = Control(self.pairs, self.clock, self.inventory)
        server = await https.serve(control.answer, self.given.listen_address, 0, None)
        self.control_address = f"{self.given.listen_address}:{https.port_of(server)}"
        write_private(self.folder / "inventory.json", json.dumps(self.inventory(), indent=1).encode() + b"\n")

    def management_context(self) -> ssl.SSLContext:
        names = ["localhost", self.given.listen_address] + [unit.hostname for pair in self.pairs for unit in
                                                            pair.group.units]
        certificate, key = self.authority.issue("bigip.example.com", names)
        chain_file, key_file = self.folder / "private" / "unit.pem", self.folder / "private" / "unit-key.pem"
        write_private(chain_file, certificate)
        write_private(key_file, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain_file, key_file)
        key_file.unlink()
        return context

    def inventory(self) -> Json:
        return {
            "control": self.control_address, "ca": str(self.folder / "ca.pem"), "user": USER,
            "password": self.password, "group": GROUP, "pairs": [
                {"units": pair.addresses(), "virtualServers": pair.plane.addresses(),
                 "hostnames": {unit.name: unit.hostname for unit in pair.group.units}} for pair in self.pairs]}

    def ready_line(self) -> str:
        words = [f"control={self.control_address}", f"ca={self.folder / 'ca.pem'}", f"user={USER}",
                 f"password={self.password}", f"group={GROUP}", f"inventory={self.folder / 'inventory.json'}"]
        for pair in self.pairs:
            suffix = "" if pair.number == 1 else str(pair.number)
            words += [f"{name}{suffix}={address}" for name, address in pair.addresses().items()]
            words += [f"{path.rsplit('/', 1)[1]}{suffix}={address}" for path, address in pair.plane.addresses().items()]
        return "ready " + " ".join(words)

    def close(self) -> None:
        for pair in self.pairs:
            pair.close()


async def run(given: argparse.Namespace) -> None:
    simulator = Simulator(given)
    await simulator.start()
    print(simulator.ready_line(), flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    threading.Thread(target=read_to_end, args=(loop, ended), daemon=True).start()
    await ended.wait()
    simulator.close()


def read_to_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """On a thread of its own, since standard input may be a pipe, a terminal or a file."""
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(ended.set)


def main() -> int:
    given = arguments()
    given.dir = given.dir.resolve()
    if given.pairs < 1 or not given.listen_address.startswith("127."):
        print("f5: --pairs is at least 1, and --listen-address lies in 127.0.0.0/8", file=sys.stderr)
        return 2
    asyncio.run(run(given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
