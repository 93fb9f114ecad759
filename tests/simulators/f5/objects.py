"""Addresses of the objects of a configuration: sys/file, ltm/profile, ltm/virtual and what lies below it, partitions."""
from collections.abc import Callable

from . import names, query
from .call import Call
from .places import PLACES
from .profiles import PROFILES
from .resource import Change, Resource
from .routing import Deferred, Routes
from .sslfiles import CERTIFICATES, KEYS
from .virtuals import VIRTUALS
from .wire import Json, Request

RESOURCES: tuple[Resource, ...] = (CERTIFICATES, KEYS, VIRTUALS, *PROFILES.values(), *PLACES)
PROFILES_OF_VIRTUALS = "/mgmt/tm/ltm/virtual/{id}/profiles"


def add_routes(routes: Routes) -> None:
    for resource in RESOURCES:
        add_resource(routes, resource)
    routes.add("GET", PROFILES_OF_VIRTUALS, read_attached)
    routes.add("POST", PROFILES_OF_VIRTUALS, Deferred(attach))
    one = f"{PROFILES_OF_VIRTUALS}/{{profile}}"
    routes.add("GET", one, lambda call, ident, profile: show_attached(call, *map(names.full_path, (ident, profile))))
    routes.add("PATCH", one, Deferred(reattach))
    routes.add("PUT", one, Deferred(reattach))
    routes.add("DELETE", one, Deferred(detach))


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


# --- profiles of a virtual server ------------------------------------------------------------------------------------


def read_attached(call: Call, ident: str) -> Json:
    virtual = VIRTUALS.existing(call.unit.running, names.full_path(ident))
    shown = VIRTUALS.show_profiles(call.unit.running, call.unit.version, virtual)
    return query.collection(f"/tm/ltm/virtual/{ident}/profiles", "tm:ltm:virtual:profiles:profiles",
                            call.unit.version.text, shown, call.request.query)


def show_attached(call: Call, path: str, profile: str) -> Json:
    virtual = VIRTUALS.existing(call.unit.running, path)
    item = VIRTUALS.attached(virtual, profile)
    return VIRTUALS.show_profile(call.unit.running, call.unit.version, virtual, item)


def attach(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
    path = names.full_path(places[0])
    profile = VIRTUALS.attach(change, path, body)["path"]
    return lambda: show_attached(call, path, profile)


def reattach(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
    path, profile = (names.full_path(place) for place in places)
    VIRTUALS.reattach(change, path, profile, body)
    return lambda: show_attached(call, path, profile)


def detach(change: Change, call: Call, body: Json, places: list[str]) -> Callable[[], Json | None]:
    VIRTUALS.detach(change, names.full_path(places[0]), names.full_path(places[1]))
    return lambda: None
