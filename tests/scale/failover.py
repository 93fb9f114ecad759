"""The leader is killed in the middle of runs: how long until the other replica acts, and that nothing is done twice."""

import collections
import time

import objects
import plane as planes
import progress
from acme import ZONE, acme_authority
from due import Recorded
from objects import SECRETS, WORKFLOWS
from plane import API
from replica import Replica


class RunEvents:
    """When runs were written last."""

    def __init__(self, plane):
        self.times = []
        self._watch = plane.watch("workflowruns", lambda _, item, when: self.times.append(when))

    def after(self, moment):
        return next((when for when in self.times if when > moment), None)

    def close(self):
        self._watch.close()


def twice(plane, orders_made, count):
    """What exists more often than once a workflow; empty when all is well."""
    faults = []
    runs = collections.Counter(run["spec"]["workflowRef"]["name"]
                               for run in plane.get(f"{API}/workflowruns")["items"])
    faults += [f"{name} has {number} runs" for name, number in runs.items() if number != 1]
    secrets = collections.Counter(item["metadata"]["name"].split(".st-")[0]
                                  for item in plane.get(SECRETS)["items"] if ".st-" in item["metadata"]["name"])
    faults += [f"{name} has {number} versions" for name, number in secrets.items() if number != 1]
    if len(secrets) != count:
        faults.append(f"{len(secrets)} workflows have a version, not {count}")
    if orders_made != count:
        faults.append(f"{orders_made} orders for {count} workflows")
    return faults


def failover(plane, count):
    with acme_authority(plane) as orders, Replica(plane, "first") as first, Replica(plane, "second") as second:
        planes.wait_for("one of two replicas leads", 60, lambda: leads(first) or leads(second))
        leader, other = (first, second) if leads(first) else (second, first)
        names = objects.names("over", count)
        recorded, events = Recorded(plane), RunEvents(plane)
        plane.load(objects.creates(WORKFLOWS, [objects.workflow(n, "acme", ZONE) for n in names]))
        planes.wait_for("some runs are through", 120, lambda: len(recorded.when) >= count // 10, every=0.005)
        leader.kill()
        killed, through = time.monotonic(), len(recorded.when)
        other.await_log("leading: workers started", 60)
        led = time.monotonic()
        acted = planes.wait_for("the other replica acts", 60, lambda: events.after(led - 0.05), every=0.01)
        ended = recorded.await_all(names, 300)
        events.close()
        progress.figure("failover", workflows=count, recorded_before_the_kill=through,
                        leads_after_seconds=round(led - killed, 2), acts_after_seconds=round(acted - killed, 2),
                        all_recorded_after_seconds=round(ended - killed, 2), orders=orders(),
                        twice=twice(plane, orders(), count))


def leads(replica):
    return replica.log_line("leading: workers started") is not None
