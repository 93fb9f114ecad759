"""HTTP/1.1 with keep-alive on asyncio: reads requests, and plays what cannot be played with an answer alone."""
from __future__ import annotations

import asyncio
import http
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable

from .wire import Request, Response

BIGGEST_HEAD, BIGGEST_BODY = 1 << 16, 80 << 20
PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


class Malformed(Exception):
    """The peer does not speak HTTP."""


class Dropped(Exception):
    """The connection is to end now."""


class Connection:
    """One client; requests follow each other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        peer = writer.get_extra_info("peername")
        self.sender = str(peer[0]) if peer else "127.0.0.1"
        self.keep = True

    async def read(self) -> Request | None:
        """The next request; None when the client is gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        except asyncio.LimitOverrunError:
            raise Malformed("the head is too long") from None
        lines = head[:-4].decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3:
            raise Malformed("no request line")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        self.keep = headers.get("connection", "").lower() != "close" and words[2] == "HTTP/1.1"
        if headers.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self.read_body(headers)
        path, _, query = words[1].partition("?")
        fields = dict(urllib.parse.parse_qsl(query, keep_blank_values=True)) if query else {}
        return Request(words[0], path.rstrip("/") or "/", fields, headers, body, self.sender)

    async def read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self.read_chunks()
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BIGGEST_BODY:
            raise Malformed("no such Content-Length")
        return await self.reader.readexactly(int(length)) if length != "0" else b""

    async def read_chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size + len(body) > BIGGEST_BODY:
                raise Malformed("the body is too long")
            body += (await self.reader.readexactly(size + 2))[:-2]
            if size == 0:
                return body

    def encode(self, response: Response) -> bytes:
        phrase = response.reason or PHRASES.get(response.status, "")
        head = f"HTTP/1.1 {response.status} {phrase}\r\nContent-Length: {len(response.body)}\r\n"
        if response.body:
            head += f"Content-Type: {response.content_type}\r\n"
        head += "Connection: keep-alive\r\n\r\n" if self.keep else "Connection: close\r\n\r\n"
        return head.encode("latin-1") + response.body

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_gone(self) -> None:
        """Says nothing until the client gives up."""
        while await self.reader.read(BIGGEST_HEAD):
            pass
        raise Dropped

    def drop(self) -> None:
        self.writer.transport.abort()


Answer = Callable[[Connection, Request], Awaitable[None]]


async def converse(connection: Connection, answer: Answer) -> None:
    """Requests and answers until one side ends it."""
    try:
        while connection.keep:
            request = await connection.read()
            if request is None:
                break
            await answer(connection, request)
        connection.writer.close()
    except (Malformed, ValueError):
        connection.writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.writer.close()
    except (Dropped, asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError):
        connection.drop()


async def serve(answer: Answer, host: str, port: int, context: ssl.SSLContext | None) -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(Connection(reader, writer), answer)
    return await asyncio.start_server(handle, host, port, ssl=context, limit=BIGGEST_HEAD, backlog=512)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
