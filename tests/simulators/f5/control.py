"""The scripts' side: plain HTTP with JSON on a port of its own. README.md lists what it takes."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import faults
from .clock import Clock
from .https import Connection
from .pair import Pair
from .unit import Unit
from .wire import Json, Refusal, Request, Response

Handler = Callable[[Pair, Json], Any]


class Control:
    def __init__(self, pairs: list[Pair], clock: Clock, inventory: Callable[[], Json]) -> None:
        self.pairs, self.clock, self.inventory = pairs, clock, inventory
        self.handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/inventory"): lambda pair, body: self.inventory(),
            ("GET", "/state"): lambda pair, body: show_pair(pair),
            ("GET", "/requests"): read_requests,
            ("DELETE", "/requests"): lambda pair, body: pair.journal.lines.clear(),
            ("GET", "/faults"): lambda pair, body: [rule.show() for rule in pair.faults.rules],
            ("POST", "/faults"): add_faults,
            ("DELETE", "/faults"): lambda pair, body: pair.faults.rules.clear(),
            ("GET", "/options"): lambda pair, body: pair.options.as_json(),
            ("POST", "/options"): change_options,
            ("GET", "/clock"): lambda pair, body: {"now": self.clock.now()},
            ("POST", "/clock"): self.move_clock,
            ("POST", "/failover"): fail_over,
            ("POST", "/restart"): restart,
            ("POST", "/sync"): change_sync,
            ("POST", "/objects"): add_objects,
            ("POST", "/users"): add_user,
        }

    async def answer(self, connection: Connection, request: Request) -> None:
        await connection.write(connection.encode(self.handle(request)))

    def handle(self, request: Request) -> Response:
        handler = self.handlers.get((request.method, request.path))
        if handler is None:
            return reply(404, {"error": "there are " + ", ".join(f"{m} {p}" for m, p in self.handlers)})
        try:
            body = json.loads(request.body) if request.body else {}
            arguments = dict(request.query) | (body if isinstance(body, dict) else {"list": body})
            number = int(arguments.pop("pair", 1))
            if not 1 <= number <= len(self.pairs):
                raise ValueError(f"pair is 1 to {len(self.pairs)}")
            result = handler(self.pairs[number - 1], arguments)
        except (ValueError, KeyError, TypeError) as error:
            return reply(400, {"error": str(error)})
        except Refusal as refusal:
            return reply(409, {"error": refusal.message})
        return reply(200, {} if result is None else result)

    def move_clock(self, pair: Pair, body: Json) -> Json:
        if "freeze" in body:
            self.clock.freeze(bool(body["freeze"]))
        self.clock.advance(float(body.get("advance", 0)))
        return {"now": self.clock.now()}


def reply(status: int, body: Any) -> Response:
    return Response(status, json.dumps(body).encode() + b"\n")


def known(body: Json, *wanted: str) -> None:
    for name in body:
        if name not in wanted:
            raise ValueError(f"{name} is unknown; there are {', '.join(('pair', *wanted))}")


def read_requests(pair: Pair, body: Json) -> Any:
    known(body, "unit", "since")
    return pair.journal.show(body.get("unit"), int(body.get("since", 0)))


def add_faults(pair: Pair, body: Json) -> None:
    """One rule, or a list of them."""
    pair.faults.rules += [faults.rule(one) for one in body.get("list", [body])]


def change_options(pair: Pair, body: Json) -> Any:
    for name, value in body.items():
        pair.options.change(name, value)
    return pair.options.as_json()


def fail_over(pair: Pair, body: Json) -> Json:
    """{"unit": "b"} makes b active; {"unit": "a", "state": "offline"} is any other state."""
    known(body, "unit", "state")
    pair.group.set_state(pair.unit(body["unit"]), str(body.get("state", "active")))
    return dict(pair.group.states)


def restart(pair: Pair, body: Json) -> None:
    """{"unit": "a", "requests": 3}: three requests are told that it restarts."""
    known(body, "unit", "requests")
    unit = pair.unit(body["unit"])
    unit.restart()
    if int(body.get("requests", 0)) > 0:
        pair.faults.rules.append(faults.Rule("restarting", unit=unit.name, count=int(body["requests"])))


def change_sync(pair: Pair, body: Json) -> None:
    known(body, "autoSync", "saveOnAutoSync", "fullLoadOnSync", "polls", "seconds", "progress", "ignore", "status",
          "otherGroup")
    group = pair.group
    group.auto_sync = bool(body.get("autoSync", group.auto_sync))
    group.save_on_auto_sync = bool(body.get("saveOnAutoSync", group.save_on_auto_sync))
    group.full_load_on_sync = bool(body.get("fullLoadOnSync", group.full_load_on_sync))
    group.polls = int(body.get("polls", group.polls))
    group.seconds = float(body.get("seconds", group.seconds))
    group.progress_text = str(body.get("progress", group.progress_text))
    group.ignored_syncs = int(body.get("ignore", group.ignored_syncs))
    group.other_status = str(body.get("otherGroup", group.other_status))
    for name, text in body.get("status", {}).items():
        unit = pair.unit(name)
        if text is None:
            group.forced.pop(unit.name, None)
        else:
            group.forced[unit.name] = str(text)


def add_objects(pair: Pair, body: Json) -> Json:
    known(body, "objects", "list", "unit")
    objects = body.get("objects", body.get("list", []))
    if "unit" in body:
        pair.plant(pair.unit(body["unit"]), objects)
    else:
        pair.seed(objects)
    return {"virtualServers": pair.plane.addresses()}


def add_user(pair: Pair, body: Json) -> None:
    known(body, "name", "password", "role", "remote")
    pair.add_user(body["name"], body["password"], body["role"], bool(body.get("remote", False)))


def show_pair(pair: Pair) -> Json:
    return {"pair": pair.number, "units": {unit.name: show_unit(unit) for unit in pair.group.units},
            "virtualServers": pair.plane.addresses()}


def show_unit(unit: Unit) -> Json:
    status, color = unit.group.status(unit)
    return {
        "hostname": unit.hostname, "version": unit.version.text, "state": unit.group.states[unit.name],
        "syncStatus": status, "syncColor": color, "unsaved": unit.unsaved, "saves": unit.saves,
        "tokens": len(unit.accounts.tokens), "mostTokens": unit.accounts.most_tokens,
        "failedLogins": unit.accounts.failed_logins, "uploads": sorted(unit.uploads.files),
        "transactions": {str(t.ident): t.state for t in unit.transactions.open.values()},
        "objects": {kind: sorted(entry.path for entry in unit.running.all(kind)) for kind in unit.running.kinds()}}
