"""Workflows that have nothing to do: what they cost at the start, in memory and over a minute."""

import concurrent.futures
import time

import measures
import objects
import plane as planes
import progress
from due import Recorded
from objects import AS_CONTROLLER, RUNS, SECRETS, WORKFLOWS
from replica import Replica

SEED = "seed000000"


def make_pattern(plane):
    """One real workflow, carried out by the controller."""
    objects.make_internal_authority(plane)
    with Replica(plane, "seed") as replica:
        replica.leading()
        recorded = Recorded(plane)
        plane.create(WORKFLOWS, objects.workflow(SEED))
        recorded.await_all([SEED], 120)
    return objects.Pattern(plane, SEED)


def settle(replica, seconds):
    """Until the memory does not move any more."""
    last, since = replica.memory_kb(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.5)
        now = replica.memory_kb()
        if abs(now - last) > 64:
            last, since = now, time.monotonic()
    return last


def create_idle(plane, pattern, first, count):
    """Workflows with status, each with its last run."""
    names = objects.names("idle", first + count)[first:]
    run_names = objects.run_names(first + count)[first:]
    items = [pattern.workflow(*pair) for pair in zip(names, run_names)]
    bare = [{key: value for key, value in item.items() if key != "status"} for item in items]
    _, heads = plane.load(objects.creates(WORKFLOWS + AS_CONTROLLER, bare), heads=True)
    plane.load([objects.status_update(WORKFLOWS, item, head[1]) for item, head in zip(items, heads)])
    runs = [pattern.run(*pair, head[2]) for pair, head in zip(zip(names, run_names), heads)]
    bare = [{key: value for key, value in run.items() if key != "status"} for run in runs]
    _, heads = plane.load(objects.creates(RUNS + AS_CONTROLLER, bare), heads=True)
    plane.load([objects.status_update(RUNS, run, head[1]) for run, head in zip(runs, heads)])
    progress.say(f"{first + count} idle workflows with their last runs")


STREAMED = "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=120"


def plain_read(plane):
    """Seconds that a reader who looks at nothing waits for the streamed lists of both kinds, at the same time."""
    def read(resource):
        tail = b""
        for chunk in plane.stream(f"{planes.API}/{resource}{STREAMED}"):
            tail = (tail + chunk)[-4096:]
            if b"k8s.io/initial-events-end" in tail:
                return
        raise RuntimeError(f"the list of {resource} has no end")

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(read, resource) for resource in ("certificateworkflows", "workflowruns")]:
            done.result()
    return round(time.monotonic() - begin, 2)


def cold_start(replica, count):
    """Seconds from exec to caches in step, to the lease, and to everything looked at."""
    replica.await_log("caches are in step")
    synced = time.monotonic() - replica.started
    replica.leading()
    leading = time.monotonic() - replica.started

    def through():
        counters = replica.counters()
        done = counters.total("certflow_reconcile_total", queue="workflow")
        waiting = counters.total("certflow_workqueue_depth")
        return done >= count and waiting == 0

    planes.wait_for("all queues empty", 120, through)
    return progress.rounded({"caches_in_step_seconds": synced, "leading_seconds": leading,
                             "queues_empty_seconds": time.monotonic() - replica.started}, 2)


def over_a_while(plane, replica, seconds):
    """CPU and requests with nothing to do. The server's own count has everybody's requests, so ours is the one."""
    before, cpu, server = replica.counters(), replica.cpu(), plane.cpu()
    time.sleep(seconds)
    changed = replica.counters().since(before)
    requests = {"{verb} {code}".format(**dict(labels)): int(value) for (name, labels), value in changed.items()
                if name == "certflow_kube_requests_total"}
    return {"observed_seconds": seconds, "controller_cpu_seconds": round(replica.cpu() - cpu, 3),
            "server_cpu_seconds": round(plane.cpu() - server, 2), "requests": requests}


def one_size(plane, count, base_kb, seconds):
    plain = plain_read(plane)
    before = plane.counters()
    with Replica(plane, f"idle-{count}") as replica:
        times = cold_start(replica, count)
        times.update(plain_read_seconds=plain, times_plain_read=round(times["queues_empty_seconds"] / plain, 2))
        rss = settle(replica, 5)
        figures = over_a_while(plane, replica, seconds)
        changed = plane.counters().since(before)
        progress.figure("idle", workflows=count, **times, rss_kb=rss, rss_peak_kb=replica.memory_kb("VmHWM"),
                        kb_per_workflow=round((rss - base_kb) / count, 2), **figures,
                        writes_to_ours=measures.writes_by_kind(changed))


def foreign_secrets(plane, count, seconds):
    """Secrets of others, made while the controller runs and there when it starts again."""
    with Replica(plane, "foreign-before") as replica:
        replica.leading()
        before = settle(replica, 5)
        bodies = [objects.secret(name, {"token": "x" * 1000}) for name in objects.names("foreign", count)]
        plane.load(objects.creates(SECRETS, bodies))
        live = settle(replica, 5)
    with Replica(plane, "foreign-after") as replica:
        replica.leading()
        progress.figure("foreign_secrets", secrets=count, rss_before_kb=before, rss_live_kb=live,
                        rss_restarted_kb=settle(replica, 5), **over_a_while(plane, replica, seconds))


def idle(plane, pattern, sizes, foreign, seconds):
    with Replica(plane, "empty") as replica:
        replica.leading()
        base = settle(replica, 5)
        progress.figure("empty", rss_kb=base, rss_peak_kb=replica.memory_kb("VmHWM"))
    there = 0
    for size in sizes:
        create_idle(plane, pattern, there, size - there)
        there = size
        one_size(plane, size, base, seconds)
    foreign_secrets(plane, foreign, seconds)
