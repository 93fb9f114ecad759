"""What clients of the virtual servers see: real TLS on loopback, as the active unit's running configuration says now.

A destination such as /Common/10.10.10.10:443 gets a port of its own when it is first seen, and keeps it. A destination in
127.0.0.0/8 is listened on as it is, if its port is free. Where there is nothing to serve (no such virtual server on the active
unit, a disabled one, no active unit) a connection is reset.
"""
from __future__ import annotations

import asyncio
import functools
import ipaddress
import pathlib
import socket
import ssl
import struct
import sys
import tempfile
from collections.abc import Iterator

from . import pem, profiles
from .authority import write_private
from .configuration import Configuration, Entry, certificate
from .group import Group
from .https import Connection, converse
from .profiles import find_profile
from .unit import Unit
from .wire import Json, Request, Response

HANDSHAKE_SECONDS = 30
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the connection ends with a reset


@functools.lru_cache(maxsize=1024)
def tls_context(folder: pathlib.Path, pairs: tuple[tuple[bytes, bytes, str | None], ...]) -> ssl.SSLContext:
    """For pairs of (certificate with chain, key, passphrase). Nobody resumes: every handshake shows what is served now."""
    context = bare_context()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        chain_file, key_file = pathlib.Path(place) / "chain.pem", pathlib.Path(place) / "key.pem"
        for chain, key, passphrase in pairs:
            write_private(chain_file, chain)
            write_private(key_file, key)
            context.load_cert_chain(chain_file, key_file, passphrase or "")
    return context


def bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0  # type: ignore[attr-defined]  # unknown to the stubs of mypy 1.0
    return context


def names_match(pattern: str, asked: str) -> bool:
    pattern, asked = pattern.lower().rstrip("."), asked.lower().rstrip(".")
    if pattern.startswith("*."):
        return asked.partition(".")[2] == pattern[2:]
    return pattern == asked


class Listener:
    def __init__(self, plane: DataPlane, destination: str, listening: socket.socket) -> None:
        self.plane, self.destination, self.socket = plane, destination, listening
        self.context = bare_context()
        self.context.sni_callback = self.choose
        self.task = asyncio.get_running_loop().create_task(self.accept())

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"

    async def accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self.socket)
            except OSError:
                await asyncio.sleep(0.1)  # out of descriptors, most likely
                continue
            self.plane.keep(loop.create_task(self.serve(connection)))

    async def serve(self, connection: socket.socket) -> None:
        virtual = self.plane.virtual(self.destination)
        if virtual is None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
            return
        context = self.context if list(self.plane.client_profiles(virtual[0], virtual[1])) else None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None)
        except (OSError, ssl.SSLError):
            return  # the client went away, or did not like what it saw
        await converse(Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop)), self.answer)

    def choose(self, tls: ssl.SSLObject, asked: str | None, _context: ssl.SSLContext) -> int | None:
        """In the middle of a handshake: the certificate for the name that was asked for, as of this moment."""
        virtual = self.plane.virtual(self.destination)
        profile = self.plane.profile_for(virtual[0], virtual[1], asked) if virtual else None
        if virtual is None or profile is None:
            return int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
        try:
            tls.context = self.plane.context(virtual[0].running, profile)
        except (ssl.SSLError, pem.Malformed, pem.NeedsPassphrase, KeyError) as error:
            print(f"f5: {profile.path} cannot be served: {error}", file=sys.stderr)
            return int(ssl.ALERT_DESCRIPTION_INTERNAL_ERROR)
        return None

    async def answer(self, connection: Connection, request: Request) -> None:
        virtual = self.plane.virtual(self.destination)
        text = f"{virtual[1].path} on {virtual[0].hostname}\n" if virtual else "gone\n"
        await connection.write(connection.encode(Response(200, text.encode(), "text/plain")))

    def close(self) -> None:
        self.task.cancel()
        self.socket.close()


class DataPlane:
    """The listeners of a device group."""

    def __init__(self, group: Group, host: str, folder: pathlib.Path) -> None:
        self.group, self.host, self.folder = group, host, folder
        self.listeners: dict[str, Listener] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def refresh(self) -> None:
        """Every destination that some unit knows has a listener."""
        for unit in self.group.units:
            for virtual in unit.running.all("virtual"):
                destination = virtual.values["destination"]
                if destination not in self.listeners:
                    self.listeners[destination] = Listener(self, destination, self.bind(destination))

    def bind(self, destination: str) -> socket.socket:
        address, _, port = destination.rsplit("/", 1)[1].rpartition(":")
        wanted = [(self.host, 0)]
        try:
            if ipaddress.ip_address(address.split("%")[0]).is_loopback:
                wanted = [(address, int(port)), (address, 0)]
        except ValueError:
            pass  # IPv6 is written with a dot before its port; it gets a mapped port
        for host, number in wanted:
            listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            try:
                listening.bind((host, number))
                listening.listen(512)
                return listening
            except OSError as error:
                listening.close()
                print(f"f5: {host}:{number} for {destination}: {error}", file=sys.stderr)
        raise OSError(f"nothing to listen on for {destination}")

    def addresses(self) -> dict[str, str]:
        """Where each virtual server can be reached, by full path."""
        found = {}
        for unit in self.group.units:
            for virtual in unit.running.all("virtual"):
                found[virtual.path] = self.listeners[virtual.values["destination"]].address
        return found

    def virtual(self, destination: str) -> tuple[Unit, Entry] | None:
        """The virtual server of the active unit that answers here."""
        unit = self.group.active()
        if unit is None:
            return None
        for virtual in unit.running.all("virtual"):
            if virtual.values["destination"] == destination and virtual.values["enabled"]:
                return unit, virtual
        return None

    @staticmethod
    def client_profiles(unit: Unit, virtual: Entry) -> Iterator[Entry]:
        for item in virtual.values["profiles"]:
            profile = find_profile(unit.running, item["path"])
            if profile and profile.kind == "client-ssl" and \
                    profiles.effective(unit.running, profile, "mode") != "disabled":
                yield profile

    def profile_for(self, unit: Unit, virtual: Entry, asked: str | None) -> Entry | None:
        """By the name that was asked for, else the default for SNI, else the only one."""
        found = list(self.client_profiles(unit, virtual))
        for profile in found if asked else []:
            if any(names_match(name, asked or "") for name in self.served_names(unit, profile)):
                return profile
        for profile in found:
            if profiles.effective(unit.running, profile, "sniDefault") == "true":
                return profile
        return found[0] if found else None

    @staticmethod
    def served_names(unit: Unit, profile: Entry) -> list[str]:
        name = profiles.effective(unit.running, profile, "serverName")
        if name not in (None, "none"):
            return [name]
        if not unit.options.sni_matches_certificate:
            return []
        names: list[str] = []
        for item in profiles.pairs_of(unit.running, profile):
            entry = unit.running.find("ssl-cert", item["cert"])
            names += certificate(entry).dns_names if entry else ()
        return names

    def context(self, running: Configuration, profile: Entry) -> ssl.SSLContext:
        return tls_context(self.folder, tuple(self.pair(running, item) for item in profiles.pairs_of(running, profile)))

    @staticmethod
    def pair(running: Configuration, item: Json) -> tuple[bytes, bytes, str | None]:
        files = {name: running.find(kind, item.get(name, "none"))
                 for name, kind in (("cert", "ssl-cert"), ("key", "ssl-key"), ("chain", "ssl-cert"))}
        leaf, key, chain = files["cert"], files["key"], files["chain"]
        if leaf is None or key is None:
            raise KeyError(item["cert"])
        blocks = pem.CERTIFICATE.findall(leaf.content) + (pem.CERTIFICATE.findall(chain.content) if chain else [])
        stored = key.values.get("passphrase")
        return b"\n".join(blocks) + b"\n", key.content, item.get("passphrase") or stored

    def close(self) -> None:
        for listener in self.listeners.values():
            listener.close()
        for task in self.tasks:
            task.cancel()
