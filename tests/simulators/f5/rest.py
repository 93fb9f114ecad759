"""iControl REST of one unit: who may ask what, and what is answered."""
from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from . import crypto, names, query
from .accounts import User
from .places import PLACES
from .profiles import PROFILES
from .resource import Change, Resource
from .routing import Deferred, Endpoint, Routes
from .sslfiles import CERTIFICATES, KEYS
from .transactions import Transaction
from .unit import Unit
from .virtuals import VIRTUALS
from .wire import (FILE_OR_TMSH, NOT_FOUND, TASK_ACTIVE, TRANSACTION_FAILED, Denied, Invalid, Json, Page, Refusal, Request,
                   Response, answer, not_registered, parse_object, strict)

RESOURCES: tuple[Resource, ...] = (CERTIFICATES, KEYS, VIRTUALS, *PROFILES.values(), *PLACES)
LONGEST_MESSAGE = 2000  # of an error, before 16.1
COORDINATION = "x-f5-rest-coordination-id"


@dataclass(frozen=True)
class Call:
    """A request of somebody who was let in."""
    unit: Unit
    user: User
    request: Request

    def body(self) -> Json:
        return parse_object(self.request.body)


class Rest:
    """Answers the requests to one unit."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.routes = Routes()
        add_system(self.routes)
        add_accounts(self.routes)
        add_files(self.routes)
        add_transactions(self.routes)
        add_cluster(self.routes)
        for resource in RESOURCES:
            add_resource(self.routes, resource)
        add_profiles_of_virtuals(self.routes)
        crypto.add_routes(self.routes)

    def handle(self, request: Request) -> Response:
        try:
            return self.dispatch(request)
        except Refusal as refusal:
            return self.refused(refusal, request)
        except Exception:  # a mistake of ours: whoever reads the log learns where, the client does not wait
            traceback.print_exc()
            return Page(500, "simulator: it failed itself, see its standard error").response(request)

    def refused(self, refusal: Refusal, request: Request) -> Response:
        if self.unit.version.cuts_error_bodies:
            refusal.message = refusal.message[:LONGEST_MESSAGE]
        return refusal.response(request)

    def dispatch(self, request: Request) -> Response:
        if request.path == "/mgmt/shared/authn/login" and request.method == "POST":
            return answer(self.unit.accounts.log_in(request))
        user = self.unit.accounts.authenticate(request)
        self.unit.accounts.authorize(user, request)
        found = self.routes.find(request.path)
        if found is None:
            raise not_registered(request.path)
        handlers, places = found
        handler = handlers.get(request.method)
        if handler is None:
            raise Denied(405, f"simulator: {request.method} is not allowed on {request.path}")
        call = Call(self.unit, user, request)
        if COORDINATION in request.headers and request.method != "GET":
            return self.coordinate(call, handler, places)
        if request.method != "GET" and self.unit.tasks.busy() and self.unit.options.task_blocks_writes and \
                "/tm/task/" not in request.path:
            raise Invalid(503, "There is an active asynchronous task executing.", TASK_ACTIVE)
        return self.act(call, handler, places)

    def write(self, call: Call, handler: Deferred, places: list[str]) -> Response:
        body = call.body()

        def act(change: Change) -> Callable[[], Json | None]:
            render: Callable[[], Json | None] = handler.act(change, call, body, places)
            return render
        return answer(call.unit.change(call.user.name, act)())

    def act(self, call: Call, handler: Endpoint, places: list[str]) -> Response:
        if isinstance(handler, Deferred):
            return self.write(call, handler, places)
        shown: Json | Response | None = handler(call, *places)
        return shown if isinstance(shown, Response) else answer(shown)

    def coordinate(self, call: Call, handler: Endpoint, places: list[str]) -> Response:
        """A request with the header of a transaction is queued, if it is of a kind that can be."""
        ident = call.request.headers[COORDINATION]
        if call.request.path.startswith("/mgmt/tm/transaction"):
            raise Invalid(400, f"Transaction {ident} operation .... is not allowed to be added to transaction.", NOT_FOUND)
        can_wait = isinstance(handler, Deferred) and \
            ("/sys/crypto/" not in call.request.path or self.unit.options.crypto_in_transaction)
        if not can_wait and self.unit.options.strict_coordination:
            raise strict(f"the header of a transaction on {call.request.path}")
        if not can_wait:
            return self.act(call, handler, places)
        transaction = find_transaction(call, ident)
        return answer(self.unit.transactions.queue(transaction, call.request, call.body()))


# --- objects of the configuration ------------------------------------------------------------------------------------


def add_resource(routes: Routes, resource: Resource) -> None:
    url = f"/mgmt{resource.url}"

    def show(call: Call, path: str) -> Json:
        entry = resource.existing(call.unit.running, path)
        return resource.show(call.unit.running, call.unit.version, entry, expands(call.request))

    def read_all(call: Call) -> Json:
        shown = [resource.show(call.unit.running, call.unit.version, entry, expands(call.request))
                 for entry in call.unit.running.all(resource.kind)]
        return query.collection(resource.url, resource.type, call.unit.version.text, shown, call.request.query,
                                call.unit.options.empty_items)

    def read(call: Call, ident: str) -> Json:
        return query.select(show(call, names.full_path(ident)), call.request.query)

    def create(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        path = resource.create(change, body).path
        return lambda: show(call, path)

    def rewrite(replace: bool) -> Deferred:
        def act(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
            path = names.full_path(places[0])
            resource.modify(change, path, body, replace)
            return lambda: show(call, path)
        return Deferred(act)

    def delete(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        resource.delete(change, names.full_path(places[0]))
        return lambda: None

    routes.add("GET", url, read_all)
    routes.add("POST", url, Deferred(create))
    routes.add("GET", f"{url}/{{id}}", read)
    routes.add("PATCH", f"{url}/{{id}}", rewrite(False))
    routes.add("PUT", f"{url}/{{id}}", rewrite(True))
    routes.add("DELETE", f"{url}/{{id}}", Deferred(delete))


def expands(request: Request) -> bool:
    return request.query.get("expandSubcollections") == "true"


def add_profiles_of_virtuals(routes: Routes) -> None:
    url = "/mgmt/tm/ltm/virtual/{id}/profiles"

    def read_all(call: Call, ident: str) -> Json:
        virtual = VIRTUALS.existing(call.unit.running, names.full_path(ident))
        shown = VIRTUALS.show_profiles(call.unit.running, call.unit.version, virtual)
        return query.collection(f"/tm/ltm/virtual/{ident}/profiles", "tm:ltm:virtual:profiles:profiles",
                                call.unit.version.text, shown, call.request.query)

    def show(call: Call, path: str, profile: str) -> Json:
        virtual = VIRTUALS.existing(call.unit.running, path)
        item = VIRTUALS.attached(virtual, profile)
        return VIRTUALS.show_profile(call.unit.running, call.unit.version, virtual, item)

    def read(call: Call, ident: str, profile: str) -> Json:
        return show(call, names.full_path(ident), names.full_path(profile))

    def attach(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        path = names.full_path(places[0])
        profile = VIRTUALS.attach(change, path, body)["path"]
        return lambda: show(call, path, profile)

    def reattach(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        path, profile = (names.full_path(place) for place in places)
        VIRTUALS.reattach(change, path, profile, body)
        return lambda: show(call, path, profile)

    def detach(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
        VIRTUALS.detach(change, names.full_path(places[0]), names.full_path(places[1]))
        return lambda: None

    routes.add("GET", url, read_all)
    routes.add("POST", url, Deferred(attach))
    routes.add("GET", f"{url}/{{profile}}", read)
    routes.add("PATCH", f"{url}/{{profile}}", Deferred(reattach))
    routes.add("PUT", f"{url}/{{profile}}", Deferred(reattach))
    routes.add("DELETE", f"{url}/{{profile}}", Deferred(detach))


# --- the system ------------------------------------------------------------------------------------------------------


def described(values: dict[str, str]) -> Json:
    return {name: {"description": value} for name, value in values.items()}


def statistics(url: str, kind: str, call: Call, values: dict[str, str]) -> Json:
    return {"kind": kind, "selfLink": names.link(url, call.unit.version.text),
            "entries": {f"{names.BASE}{url}/0": {"nestedStats": {"entries": described(values)}}}}


def add_system(routes: Routes) -> None:
    def system(call: Call) -> Json:
        below = ("config", "crypto", "file", "version")
        return {"kind": "tm:sys:syscollectionstate", "selfLink": names.link("/tm/sys", call.unit.version.text),
                "items": [{"reference": {"link": f"{names.BASE}/tm/sys/{name}?ver={call.unit.version.text}"}}
                          for name in below]}

    def version(call: Call) -> Json:
        return statistics("/tm/sys/version", "tm:sys:version:versionstats", call, {
            "Build": "0.0.1", "Edition": "Final", "Product": "BIG-IP", "Title": "Main Package",
            "Version": call.unit.version.text})

    def ready(call: Call) -> Json:
        if not call.unit.version.has_sys_ready:
            raise not_registered(call.request.path)
        return statistics("/tm/sys/ready", "tm:sys:ready:readystats", call, {
            "configReady": "yes", "licenseReady": "yes", "provisionReady": "yes"})

    def mcp_state(call: Call) -> Json:
        return statistics("/tm/sys/mcp-state", "tm:sys:mcp-state:mcp-statestats", call, {
            "lastLoad": "full-config-load-succeed", "phase": "running"})

    def save(call: Call) -> Json:
        if call.body().get("command") != "save":
            raise Invalid(400, "simulator: the only command of sys/config is save", FILE_OR_TMSH)
        call.unit.save()
        return {"kind": "tm:sys:config:savestate", "command": "save"}

    routes.add("GET", "/mgmt/tm/sys", system)
    routes.add("GET", "/mgmt/tm/sys/version", version)
    routes.add("GET", "/mgmt/tm/sys/ready", ready)
    routes.add("GET", "/mgmt/tm/sys/mcp-state", mcp_state)
    for path in ("tm/sys", "tm/cm", "shared/echo"):
        routes.add("GET", f"/mgmt/{path}/available", lambda call: {})
    routes.add("POST", "/mgmt/tm/sys/config", save)
    add_task(routes, "sys/config", check_save, lambda call, body: call.unit.save())


def check_save(body: Json) -> None:
    if body.get("command") != "save":
        raise Invalid(400, "simulator: the only command of sys/config is save", FILE_OR_TMSH)


def add_task(routes: Routes, kind: str, check: Callable[[Json], None], act: Callable[[Call, Json], None]) -> None:
    url = f"/mgmt/tm/task/{kind}"

    def create(call: Call) -> Json:
        body = call.body()
        check(body)
        task = call.unit.tasks.create(kind, body, lambda: act(call, body))
        return call.unit.tasks.show(task, call.unit.version.text)

    def begin(call: Call, ident: str) -> Response:
        task = call.unit.tasks.find(kind, ident)
        if call.body().get("_taskState") != "VALIDATING" or task.state != "STARTED":
            raise Invalid(400, "simulator: a task that was STARTED becomes VALIDATING", NOT_FOUND)
        task.state = "VALIDATING"
        return answer({"code": 202, "message": "Task will execute asynchronously", "errorStack": []}, 202)

    def read(call: Call, ident: str) -> Json:
        task = call.unit.tasks.find(kind, ident)
        call.unit.tasks.look(task)
        return call.unit.tasks.show(task, call.unit.version.text)

    routes.add("POST", url, create)
    routes.add("PUT", f"{url}/{{id}}", begin)
    routes.add("GET", f"{url}/{{id}}", read)
    routes.add("GET", f"{url}/{{id}}/result", read)


def add_accounts(routes: Routes) -> None:
    tokens = "/mgmt/shared/authz/tokens"
    routes.add("GET", tokens, lambda call: call.unit.accounts.collection(call.unit.accounts.of(call.user)))
    routes.add("DELETE", tokens, lambda call: call.unit.accounts.purge(call.user))
    routes.add("GET", f"{tokens}/{{name}}",
               lambda call, name: call.unit.accounts.show(call.unit.accounts.find(call.user, name)))
    routes.add("PATCH", f"{tokens}/{{name}}",
               lambda call, name: call.unit.accounts.extend(call.user, name, call.body()))
    routes.add("DELETE", f"{tokens}/{{name}}", lambda call, name: call.unit.accounts.delete(call.user, name))


def add_files(routes: Routes) -> None:
    def upload(call: Call, name: str) -> Json:
        return call.unit.uploads.receive("uploads", name, call.request)

    def bulk(call: Call, name: str) -> Json:
        if not call.unit.version.has_bulk_uploads:
            raise not_registered(call.request.path)
        return call.unit.uploads.receive("bulk", name, call.request)

    def remove(call: Call) -> Json:
        body = call.body()
        if body.get("command") != "run":
            raise Invalid(400, "simulator: the only command of unix-rm is run", FILE_OR_TMSH)
        output = call.unit.uploads.remove(str(body.get("utilCmdArgs", "")))
        return {"kind": "tm:util:unix-rm:runstate"} | body | ({"commandResult": output} if output else {})

    routes.add("POST", "/mgmt/shared/file-transfer/uploads/{name}", upload)
    routes.add("POST", "/mgmt/shared/file-transfer/bulk/uploads/{name}", bulk)
    routes.add("POST", "/mgmt/tm/util/unix-rm", remove)


# --- transactions ----------------------------------------------------------------------------------------------------


def find_transaction(call: Call, ident: str) -> Transaction:
    return call.unit.transactions.find(ident, call.unit.options.unknown_transaction_code)


def add_transactions(routes: Routes) -> None:
    url = "/mgmt/tm/transaction"

    def start(call: Call) -> Json:
        return call.unit.transactions.show(call.unit.transactions.start())

    def read_all(call: Call) -> Json:
        call.unit.transactions.forget()
        shown = [call.unit.transactions.show(t) for t in call.unit.transactions.open.values()]
        return query.collection("/tm/transaction", "tm:transaction", call.unit.version.text, shown, call.request.query)

    def read(call: Call, ident: str) -> Json:
        return call.unit.transactions.show(find_transaction(call, ident))

    def change(call: Call, ident: str) -> Json:
        transaction, body = find_transaction(call, ident), call.body()
        if body.get("state") != "VALIDATING":
            raise Invalid(400, "simulator: VALIDATING is the only state to ask for", NOT_FOUND)
        if not transaction.commands or transaction.state != "STARTED":
            raise Invalid(404, "there is no command to commit in the transaction.", NOT_FOUND)
        validate_only = body.get("validateOnly") is True
        execute(call, transaction, routes, validate_only)
        if validate_only:  # it can still be committed; the client BIGREST does so
            return call.unit.transactions.show(transaction) | {"state": "COMPLETED", "validateOnly": True}
        transaction.state = "COMPLETED"
        return call.unit.transactions.show(transaction)

    def without_id(call: Call) -> Json:
        raise Invalid(404, "Missing transaction ID for this call.", NOT_FOUND)

    def remove(call: Call, ident: str) -> None:
        del call.unit.transactions.open[find_transaction(call, ident).ident]

    def read_commands(call: Call, ident: str) -> Json:
        transaction = find_transaction(call, ident)
        shown = [call.unit.transactions.show_command(transaction, command) for command in transaction.in_order()]
        return query.collection(f"/tm/transaction/{ident}/commands", "tm:transaction:commands", call.unit.version.text,
                                shown, call.request.query)

    def read_command(call: Call, ident: str, number: str) -> Json:
        transaction = find_transaction(call, ident)
        command = call.unit.transactions.find_command(transaction, number)
        return call.unit.transactions.show_command(transaction, command)

    def reorder(call: Call, ident: str, number: str) -> Json:
        transaction = find_transaction(call, ident)
        command, order = call.unit.transactions.find_command(transaction, number), call.body().get("evalOrder")
        if not isinstance(order, int) or order < 1:
            raise Invalid(400, "simulator: evalOrder is a number from 1 on", NOT_FOUND)
        others = [other for other in transaction.in_order() if other is not command]
        others.insert(order - 1, command)
        for at, other in enumerate(others, 1):
            other.order = at
        return call.unit.transactions.show_command(transaction, command)

    def drop(call: Call, ident: str, number: str) -> None:
        transaction = find_transaction(call, ident)
        transaction.commands.remove(call.unit.transactions.find_command(transaction, number))

    routes.add("POST", url, start)
    routes.add("GET", url, read_all)
    routes.add("PATCH", url, without_id)
    routes.add("GET", f"{url}/{{id}}", read)
    routes.add("PATCH", f"{url}/{{id}}", change)
    routes.add("DELETE", f"{url}/{{id}}", remove)
    routes.add("GET", f"{url}/{{id}}/commands", read_commands)
    routes.add("GET", f"{url}/{{id}}/commands/{{number}}", read_command)
    routes.add("PATCH", f"{url}/{{id}}/commands/{{number}}", reorder)
    routes.add("DELETE", f"{url}/{{id}}/commands/{{number}}", drop)


def execute(call: Call, transaction: Transaction, routes: Routes, validate_only: bool) -> None:
    """Everything that is queued, on one copy of the configuration; files are read now."""
    def act(change: Change) -> None:
        for command in transaction.in_order():
            found = routes.find(command.request.path)
            handler = found[0].get(command.request.method) if found else None
            if found is None or not isinstance(handler, Deferred):
                raise not_registered(command.request.path)
            handler.act(change, call, command.body, found[1])

    try:
        call.unit.change(call.user.name, act, apply=not validate_only)
    except Refusal as refusal:
        transaction.state, transaction.failure = "FAILED", refusal.message
        if call.unit.options.failed_transaction == "remove":
            del call.unit.transactions.open[transaction.ident]
        raise Invalid(400, f"transaction failed:{refusal.message}", TRANSACTION_FAILED) from None


# --- the device group ------------------------------------------------------------------------------------------------


def add_cluster(routes: Routes) -> None:
    def devices(call: Call) -> Json:
        return query.collection("/tm/cm/device", "tm:cm:device:device", call.unit.version.text,
                                call.unit.group.devices(call.unit), call.request.query)

    def groups(call: Call) -> Json:
        return query.collection("/tm/cm/device-group", "tm:cm:device-group:device-group", call.unit.version.text,
                                call.unit.group.groups(call.unit), call.request.query)

    def group(call: Call, ident: str) -> Json:
        return one(call.unit.group.groups(call.unit), ident, "device group")

    def members(call: Call, ident: str) -> Json:
        one(call.unit.group.groups(call.unit), ident, "device group")
        url = f"/tm/cm/device-group/{ident}/devices"
        shown = [{"kind": "tm:cm:device-group:devices:devicesstate", "name": device["name"], "partition": "Common",
                  "fullPath": device["fullPath"], "generation": 1,
                  "selfLink": names.link(f"{url}/{names.identifier(device['fullPath'])}", call.unit.version.text)}
                 for device in call.unit.group.devices(call.unit)]
        return query.collection(url, "tm:cm:device-group:devices:devices", call.unit.version.text, shown,
                                call.request.query)

    def run(call: Call) -> Json:
        body = call.body()
        if body.get("command") != "run":
            raise Invalid(400, "simulator: the only command of cm is run", FILE_OR_TMSH)
        call.unit.group.command(call.unit, str(body.get("utilCmdArgs", "")).split())
        return {"kind": "tm:cm:runstate"} | body

    routes.add("GET", "/mgmt/tm/cm/failover-status", lambda call: call.unit.group.failover_status(call.unit))
    routes.add("GET", "/mgmt/tm/cm/sync-status", lambda call: call.unit.group.sync_status(call.unit))
    routes.add("GET", "/mgmt/tm/cm/device", devices)
    routes.add("GET", "/mgmt/tm/cm/device/{id}",
               lambda call, ident: one(call.unit.group.devices(call.unit), ident, "device"))
    routes.add("GET", "/mgmt/tm/cm/device-group", groups)
    routes.add("GET", "/mgmt/tm/cm/device-group/{id}", group)
    routes.add("GET", "/mgmt/tm/cm/device-group/{id}/devices", members)
    routes.add("POST", "/mgmt/tm/cm", run)
    add_task(routes, "cm/config-sync", check_sync,
             lambda call, body: call.unit.group.command(call.unit, sync_words(body)))


def one(shown: list[Json], ident: str, word: str) -> Json:
    path = names.full_path(ident)
    for item in shown:
        if item["fullPath"] == path:
            return item
    raise Invalid(404, f"01020036:3: The requested {word} ({path}) was not found.")


def sync_words(body: Json) -> list[str]:
    """[{"to-group": "/Common/DG"}] as the words of the command."""
    words = ["config-sync"]
    for option in body.get("options", []):
        for name, value in option.items():
            words += [name] if name == "force-full-load-push" else [name, str(value)]
    return words


def check_sync(body: Json) -> None:
    options = body.get("options")
    if body.get("command") != "run" or not isinstance(options, list) or \
            not all(isinstance(option, dict) for option in options):
        raise Invalid(400, "simulator: write {\"command\":\"run\",\"options\":[{\"to-group\":\"/Common/GROUP\"}]}",
                      FILE_OR_TMSH)
