"""Addresses of the system: readiness and version, saving, tasks, tokens, uploads."""
from collections.abc import Callable

from . import names
from .call import Call
from .routing import Routes
from .wire import FILE_OR_TMSH, NOT_FOUND, Invalid, Json, Response, answer, not_registered

TOKENS, UPLOADS = "/mgmt/shared/authz/tokens", "/mgmt/shared/file-transfer"


def add_routes(routes: Routes) -> None:
    routes.add("GET", "/mgmt/tm/sys", read_system)
    routes.add("GET", "/mgmt/tm/sys/version", read_version)
    routes.add("GET", "/mgmt/tm/sys/ready", read_ready)
    routes.add("GET", "/mgmt/tm/sys/mcp-state", read_mcp_state)
    for path in ("tm/sys", "tm/cm", "shared/echo"):
        routes.add("GET", f"/mgmt/{path}/available", lambda call: {})
    routes.add("POST", "/mgmt/tm/sys/config", save)
    add_task(routes, "sys/config", check_save, lambda call, body: call.unit.save())
    routes.add("POST", f"{UPLOADS}/uploads/{{name}}", upload)
    routes.add("POST", f"{UPLOADS}/bulk/uploads/{{name}}", upload_in_bulk)
    routes.add("POST", "/mgmt/tm/util/unix-rm", remove_file)
    add_tokens(routes)


# --- what it is, and whether it is there -----------------------------------------------------------------------------


def statistics(url: str, kind: str, call: Call, values: dict[str, str]) -> Json:
    described = {name: {"description": value} for name, value in values.items()}
    return {"kind": kind, "selfLink": names.link(url, call.unit.version.text),
            "entries": {f"{names.BASE}{url}/0": {"nestedStats": {"entries": described}}}}


def read_system(call: Call) -> Json:
    version = call.unit.version.text
    return {"kind": "tm:sys:syscollectionstate", "selfLink": names.link("/tm/sys", version),
            "items": [{"reference": {"link": names.link(f"/tm/sys/{name}", version)}}
                      for name in ("config", "crypto", "file", "version")]}


def read_version(call: Call) -> Json:
    return statistics("/tm/sys/version", "tm:sys:version:versionstats", call, {
        "Build": "0.0.1", "Edition": "Final", "Product": "BIG-IP", "Title": "Main Package",
        "Version": call.unit.version.text})


def read_ready(call: Call) -> Json:
    if not call.unit.version.has_sys_ready:
        raise not_registered(call.request.path)
    return statistics("/tm/sys/ready", "tm:sys:ready:readystats", call, {
        "configReady": "yes", "licenseReady": "yes", "provisionReady": "yes"})


def read_mcp_state(call: Call) -> Json:
    return statistics("/tm/sys/mcp-state", "tm:sys:mcp-state:mcp-statestats", call, {
        "lastLoad": "full-config-load-succeed", "phase": "running"})


# --- saving, and tasks -----------------------------------------------------------------------------------------------


def check_save(body: Json) -> None:
    if body.get("command") != "save":
        raise Invalid(400, "simulator: the only command of sys/config is save", FILE_OR_TMSH)


def save(call: Call) -> Json:
    check_save(call.body())
    call.unit.save()
    return {"kind": "tm:sys:config:savestate", "command": "save"}


def add_task(routes: Routes, kind: str, check: Callable[[Json], None], act: Callable[[Call, Json], None]) -> None:
    """A command that can be run as a task: create, set to VALIDATING, read until it ended."""
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

    url = f"/mgmt/tm/task/{kind}"
    routes.add("POST", url, create)
    routes.add("PUT", f"{url}/{{id}}", begin)
    routes.add("GET", f"{url}/{{id}}", read)
    routes.add("GET", f"{url}/{{id}}/result", read)


# --- uploads and tokens ----------------------------------------------------------------------------------------------


def upload(call: Call, name: str) -> Json:
    return call.unit.uploads.receive("uploads", name, call.request)


def upload_in_bulk(call: Call, name: str) -> Json:
    if not call.unit.version.has_bulk_uploads:
        raise not_registered(call.request.path)
    return call.unit.uploads.receive("bulk", name, call.request)


def remove_file(call: Call) -> Json:
    body = call.body()
    if body.get("command") != "run":
        raise Invalid(400, "simulator: the only command of unix-rm is run", FILE_OR_TMSH)
    output = call.unit.uploads.remove(str(body.get("utilCmdArgs", "")))
    return {"kind": "tm:util:unix-rm:runstate"} | body | ({"commandResult": output} if output else {})


def add_tokens(routes: Routes) -> None:
    routes.add("GET", TOKENS, lambda call: call.unit.accounts.collection(call.unit.accounts.of(call.user)))
    routes.add("DELETE", TOKENS, lambda call: call.unit.accounts.purge(call.user))
    routes.add("GET", f"{TOKENS}/{{name}}",
               lambda call, name: call.unit.accounts.show(call.unit.accounts.find(call.user, name)))
    routes.add("PATCH", f"{TOKENS}/{{name}}",
               lambda call, name: call.unit.accounts.extend(call.user, name, call.body()))
    routes.add("DELETE", f"{TOKENS}/{{name}}", lambda call, name: call.unit.accounts.delete(call.user, name))
