"""Between the wire and a unit: the log of requests, and the faults."""
from __future__ import annotations

import asyncio

from .faults import Faults, Rule, refusal_after, refusal_before
from .https import Connection, Dropped
from .journal import Journal, Line
from .rest import Rest
from .unit import Unit
from .wire import Request, Response

SLOWEST_PIECES = 2000


class Front:
    """What listens for one unit."""

    def __init__(self, unit: Unit, journal: Journal, faults: Faults) -> None:
        self.unit, self.journal, self.faults = unit, journal, faults
        self.rest = Rest(unit)
        self.in_flight = 0

    async def answer(self, connection: Connection, request: Request) -> None:
        line = self.journal.begin(self.unit.clock.now(), self.unit.name, request, self.in_flight)
        rules = self.faults.match(self.unit.name, request) if self.faults.rules else []
        line.faults = tuple(rule.fault for rule in rules)
        self.in_flight += 1
        try:
            response = await self.respond(connection, request, rules)
            line.status = response.status
            if rules:
                await self.deliver(connection, response, rules, line)
            else:
                await connection.write(connection.encode(response))
        finally:
            self.in_flight -= 1

    async def respond(self, connection: Connection, request: Request, rules: list[Rule]) -> Response:
        for rule in rules:
            response = await self.before(connection, request, rule)
            if response is not None:
                return response
        response = self.rest.handle(request)
        for rule in rules:
            refusal = refusal_after(rule, request)
            if refusal is not None:
                response = refusal.response(request)
        return response

    async def before(self, connection: Connection, request: Request, rule: Rule) -> Response | None:
        if rule.fault == "latency":
            await asyncio.sleep(rule.seconds)
        elif rule.fault == "hang":
            await connection.until_gone()
        elif rule.fault == "drop-before":
            raise Dropped
        elif rule.fault == "failover":
            self.fail_over()
        elif rule.fault == "restart":
            self.unit.restart()
        elif rule.fault == "token-expired":
            self.unit.accounts.expire(request.headers.get("x-f5-auth-token", ""))
        refusal = refusal_before(rule, request)
        return refusal.response(request) if refusal else None

    async def deliver(self, connection: Connection, response: Response, rules: list[Rule], line: Line) -> None:
        for rule in rules:
            if rule.fault == "truncated":
                response = Response(response.status, response.body[:len(response.body) // 2], response.content_type)
            elif rule.fault == "failover-after":
                self.fail_over()
            elif rule.fault == "restart-after":
                self.unit.restart()
        data = connection.encode(response)
        for rule in rules:
            if rule.fault == "drop-after":
                line.status = 0
                raise Dropped
            if rule.fault == "hang-after":
                line.status = 0
                await connection.until_gone()
            if rule.fault == "cut":
                # Written out to the last byte before the end; a high mark of 0 would never let go.
                connection.writer.transport.set_write_buffer_limits(high=1, low=0)
                await connection.write(data[:rule.bytes])
                raise Dropped
            if rule.fault == "slow":
                await self.drip(connection, data, rule)
                return
        await connection.write(data)

    @staticmethod
    async def drip(connection: Connection, data: bytes, rule: Rule) -> None:
        size = max(rule.bytes, 1, -(-len(data) // SLOWEST_PIECES))
        for at in range(0, len(data), size):
            await connection.write(data[at:at + size])
            await asyncio.sleep(rule.seconds)

    def fail_over(self) -> None:
        group = self.unit.group
        active = group.active()
        peer = group.peer(active) if active else None
        if peer is not None:
            group.set_state(peer, "active")
