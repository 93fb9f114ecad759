"""Addresses below tm/cm: failover, sync, devices and their groups."""
from . import names, query
from .call import Call
from .routing import Routes
from .system import add_task
from .wire import FILE_OR_TMSH, Invalid, Json


def add_routes(routes: Routes) -> None:
    routes.add("GET", "/mgmt/tm/cm/failover-status", lambda call: call.unit.group.failover_status(call.unit))
    routes.add("GET", "/mgmt/tm/cm/sync-status", lambda call: call.unit.group.sync_status(call.unit))
    routes.add("GET", "/mgmt/tm/cm/device", read_devices)
    routes.add("GET", "/mgmt/tm/cm/device/{id}",
               lambda call, ident: one(call.unit.group.devices(call.unit), ident, "device"))
    routes.add("GET", "/mgmt/tm/cm/device-group", read_groups)
    routes.add("GET", "/mgmt/tm/cm/device-group/{id}",
               lambda call, ident: one(call.unit.group.groups(call.unit), ident, "device group"))
    routes.add("GET", "/mgmt/tm/cm/device-group/{id}/devices", read_members)
    routes.add("POST", "/mgmt/tm/cm", run)
    add_task(routes, "cm/config-sync", check_sync,
             lambda call, body: call.unit.group.command(call.unit, sync_words(body)))


def read_devices(call: Call) -> Json:
    return query.collection("/tm/cm/device", "tm:cm:device:device", call.unit.version.text,
                            call.unit.group.devices(call.unit), call.request.query)


def read_groups(call: Call) -> Json:
    return query.collection("/tm/cm/device-group", "tm:cm:device-group:device-group", call.unit.version.text,
                            call.unit.group.groups(call.unit), call.request.query)


def read_members(call: Call, ident: str) -> Json:
    one(call.unit.group.groups(call.unit), ident, "device group")
    url = f"/tm/cm/device-group/{ident}/devices"
    shown = [{"kind": "tm:cm:device-group:devices:devicesstate", "name": device["name"], "partition": "Common",
              "fullPath": device["fullPath"], "generation": 1,
              "selfLink": names.link(f"{url}/{names.identifier(device['fullPath'])}", call.unit.version.text)}
             for device in call.unit.group.devices(call.unit)]
    return query.collection(url, "tm:cm:device-group:devices:devices", call.unit.version.text, shown, call.request.query)


def one(shown: list[Json], ident: str, word: str) -> Json:
    path = names.full_path(ident)
    for item in shown:
        if item["fullPath"] == path:
            return item
    raise Invalid(404, f"01020036:3: The requested {word} ({path}) was not found.")


def run(call: Call) -> Json:
    body = call.body()
    if body.get("command") != "run":
        raise Invalid(400, "simulator: the only command of cm is run", FILE_OR_TMSH)
    call.unit.group.command(call.unit, str(body.get("utilCmdArgs", "")).split())
    return {"kind": "tm:cm:runstate"} | body


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
