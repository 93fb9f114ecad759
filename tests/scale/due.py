"""Workflows that are due, from the first create to the last one proved and recorded."""

import time

import objects
import plane as planes
import progress
from objects import WORKFLOWS
from measures import reads_by_kind, writes_by_kind
from progress import rounded
from replica import Replica


class Recorded:
    """When each workflow's status first named its certificate."""

    def __init__(self, plane):
        self.when = {}
        self._watch = plane.watch("certificateworkflows", self._see)

    def _see(self, _, item, when):
        if "certificate" in item.get("status", {}):
            self.when.setdefault(item["metadata"]["name"], when)

    def await_all(self, names, seconds):
        planes.wait_for(f"{len(names)} workflows recorded", seconds, lambda: len(self.when) >= len(names), every=0.02)
        self._watch.close()
        return max(self.when[name] for name in names)


def per_run(kinds, count):
    return {kind: round(value / count, 2) for kind, value in sorted(kinds.items())}


def own_requests(changed, count):
    """What the controller counted itself, by verb; watches and leases included."""
    out = {}
    for (name, labels), value in changed.items():
        if name == "certflow_kube_requests_total":
            kind = "{verb} {code}".format(**dict(labels))
            out[kind] = round(out.get(kind, 0) + value / count, 2)
    return dict(sorted(out.items()))


def measure(plane, replica, count, authority, domain, seconds, warm_up=1):
    """Creates `count` workflows as fast as possible and measures until the last is recorded."""
    objects_made = [objects.workflow(n, authority, domain) for n in objects.names("warm", warm_up)]
    recorded = Recorded(plane)
    plane.load(objects.creates(WORKFLOWS, objects_made))
    recorded.await_all(objects.names("warm", warm_up), 120)

    names = objects.names("due", count)
    recorded = Recorded(plane)
    before, own_before = plane.counters(), replica.counters()
    cpu, server_cpu, idle_kb = replica.cpu(), plane.cpu(), replica.memory_kb()
    started = time.monotonic()
    created = plane.load(objects.creates(WORKFLOWS, [objects.workflow(n, authority, domain) for n in names]))
    ended = recorded.await_all(names, seconds)
    cpu, server_cpu = replica.cpu() - cpu, plane.cpu() - server_cpu
    after = plane.counters().since(before)
    writes = writes_by_kind(after)
    writes["create certificateworkflows"] = writes.get("create certificateworkflows", 0) - count
    writes = {kind: value for kind, value in writes.items() if value}
    own = replica.counters().since(own_before)
    return {"workflows": count, "seconds": round(ended - started, 2), "create_seconds": round(created["seconds"], 2),
            "writes_per_run": round(sum(writes.values()) / count, 2), "writes_by_kind": per_run(writes, count),
            "reads_by_kind": per_run(reads_by_kind(after), count), "own_requests": own_requests(own, count),
            **rounded({"controller_cpu_seconds": cpu, "controller_cpu_ms_per_run": cpu * 1000 / count,
                       "server_cpu_seconds": server_cpu, "generator_cpu_seconds": created["cpu_seconds"]}, 2),
            "rss_before_kb": idle_kb, "rss_after_kb": replica.memory_kb(), "rss_peak_kb": replica.memory_kb("VmHWM")}


def ideal_seconds(figures, rates):
    """What the writes of a run, and the creation of its workflow, cost at the server's own ceiling."""
    count = figures["workflows"]
    writes = {"create certificateworkflows": 1.0, **figures["writes_by_kind"]}
    return sum(count * number / rates[rate_for(kind)] for kind, number in writes.items())


def rate_for(kind):
    """Which of the ceiling's figures a kind of write is like."""
    verb, _, what = kind.partition(" ")
    if what.endswith("/status"):
        return "status"
    if what in ("secrets", "events"):
        return "secret"
    return "create" if verb == "create" else "status"


def due(plane, count, rates):
    with Replica(plane) as replica:
        replica.leading()
        figures = measure(plane, replica, count, "corp", "example.com", 120 + count)
    progress.say("the controller ended")
    if rates:
        ideal = ideal_seconds(figures, rates)
        figures["ideal_seconds"] = round(ideal, 2)
        figures["share_of_ceiling"] = round(ideal / figures["seconds"], 3)
    progress.figure("due", **figures)
