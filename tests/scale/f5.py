"""Workflows of simulated BIG-IP pairs, all due in the same moment; and the same beside a pair that hangs."""

import collections
import contextlib
import time

import bigip
import objects
import plane as planes
import progress
from bigip import Pair, Simulator
from objects import TARGETS, WORKFLOWS
from progress import rounded
from replica import Replica

PROCESSES = 2  # that play the pairs
PER_PAIR = 10
MOST_REQUESTS = 12  # of one deployment, besides uploads


class Succeeded:
    """When each workflow's newest run had succeeded: it is live, and proved at the virtual server."""

    def __init__(self, plane):
        self.when, self.failed, self._known = {}, {}, set()
        self._watch = plane.watch("certificateworkflows", self._see)

    def _see(self, _, item, when):
        name, last = item["metadata"]["name"], item.get("status", {}).get("lastRun")
        if last is None or last["name"] in self._known:
            return
        self._known.add(last["name"])
        if last["state"] == "Succeeded":
            self.when[name] = when
        else:
            self.failed[name] = f'{last["state"]}: {last.get("message", "")}'

    def forget(self):
        self.when.clear()

    def await_all(self, names, seconds):
        """When the last of them had."""
        planes.wait_for(f"{len(names)} workflows succeeded", seconds,
                        lambda: self.failed or names <= self.when.keys(), every=0.02)
        if self.failed:
            raise RuntimeError(f"{len(self.failed)} runs failed: {next(iter(self.failed.items()))}")
        return max(self.when[name] for name in names)

    def close(self):
        self._watch.close()


class Bench:
    """The pairs, the controller, and the rounds that they go through."""

    def __init__(self, plane, replica, simulators, pairs):
        self.plane, self.replica, self.simulators, self.pairs = plane, replica, simulators, pairs
        self.names = {item["metadata"]["name"] for pair in pairs for item in pair.workflows()}
        self.succeeded = Succeeded(plane)
        self._round = 0

    def await_targets(self):
        def ready():
            items = self.plane.get(TARGETS)["items"]
            return all(any(c["type"] == "Ready" and c["status"] == "True"
                           for c in item.get("status", {}).get("conditions", [])) for item in items)
        planes.wait_for("all targets are ready", 300, ready, every=0.5)

    def create(self, pairs):
        """The first run of each begins with its creation."""
        self.plane.load(objects.creates(WORKFLOWS, [item for pair in pairs for item in pair.workflows()]))

    def renew(self, names):
        """Asks for a run of each."""
        self._round += 1
        updates = []
        for item in self.plane.get(WORKFLOWS)["items"]:
            name = item["metadata"]["name"]
            if name in names:
                item["metadata"]["annotations"] = {"certflow.dev/renew": f"round {self._round}"}
                updates.append(("PUT", f"{WORKFLOWS}/{name}", item))
        self.plane.load(updates)

    def alone(self):
        """The requests of a single run, in order."""
        pair = self.pairs[0]
        name = pair.workflows()[0]["metadata"]["name"]
        pair.forget_requests()
        self.succeeded.forget()
        self.renew({name})
        self.succeeded.await_all({name}, 120)
        return pair.request_list()

    def measure(self, start, seconds):
        """From `start()` until all have succeeded. Figures, and the requests by kind."""
        for pair in self.pairs:
            pair.forget_requests()
        self.succeeded.forget()
        cpu, server_cpu = self.replica.cpu(), self.plane.cpu()
        played = [simulator.cpu() for simulator in self.simulators]
        gates = self.replica.counters()
        started = time.monotonic()
        start()
        ended = self.succeeded.await_all(self.names, seconds)
        cpu, server_cpu = self.replica.cpu() - cpu, self.plane.cpu() - server_cpu
        played = [simulator.cpu() - before for simulator, before in zip(self.simulators, played)]
        gates = self.replica.counters().since(gates)
        requests = collections.Counter(kind for pair in self.pairs for kind in pair.request_list())
        first = min(self.succeeded.when[name] for name in self.names)
        count = len(self.names)
        figures = {"workflows": count, "pairs": len(self.pairs), "seconds": round(ended - started, 2),
                   "first_after_seconds": round(first - started, 2), **per_run(requests, count),
                   **rounded({"controller_cpu_seconds": cpu, "controller_cpu_ms_per_run": cpu * 1000 / count,
                              "server_cpu_seconds": server_cpu}, 2),
                   "simulator_cpu_seconds": rounded(dict(enumerate(played)), 2),
                   "simulator_share": round(max(played) / (ended - started), 3),
                   "denied_at_gates": gates.total("certflow_gate_denied_total"),
                   "most_tokens_of_a_unit": max(pair.most_tokens() for pair in self.pairs),
                   "rss_peak_kb": self.replica.memory_kb("VmHWM")}
        return figures


def per_run(requests, count):
    """Requests of a run: all, without uploads and what the pair's targets share; and by kind."""
    uploads = sum(requests[kind] for kind in bigip.UPLOADS)
    shared = sum(requests[kind] for kind in bigip.SHARED)
    return {"requests_per_run": round((requests.total() - uploads - shared) / count, 2),
            "uploads_per_run": round(uploads / count, 2), "shared_requests": shared,
            "transactions": requests["POST transaction"],
            "syncs_per_run": round(requests["POST cm"] / count, 2),
            "requests_by_kind": {kind: round(number / count, 2) for kind, number in sorted(requests.items())}}


def of_the_deployment(kinds):
    """From the look at the binding to the config-sync, of one run's requests in order; without uploads."""
    made = kinds.index("POST sys/file/ssl-key")
    look = max(at for at, kind in enumerate(kinds[:made]) if kind == "GET ltm/virtual")
    return [kind for kind in kinds[look:kinds.index("POST cm") + 1] if kind not in bigip.UPLOADS + bigip.SHARED]


@contextlib.contextmanager
def stage(plane, count):
    """`count` pairs and one more that is to hang, with all that is on them."""
    objects.make_internal_authority(plane, intermediate=True)
    plane.original = bigip.make_original(plane.folder)
    with contextlib.ExitStack() as stack:
        simulators = [stack.enter_context(Simulator(plane, f"f5-{i}", (count + i) // PROCESSES))
                      for i in range(PROCESSES)]
        apart = stack.enter_context(Simulator(plane, "f5-hanging", 1))
        pairs = [Pair(plane, simulator, number, f"pair{at}-{number}", PER_PAIR)
                 for at, simulator in enumerate(simulators) for number in range(1, simulator.count + 1)]
        hanging = Pair(plane, apart, 1, "hanging", PER_PAIR)
        replica = stack.enter_context(Replica(plane, "f5"))
        replica.leading()
        bench = Bench(plane, replica, simulators, pairs)
        stack.callback(bench.succeeded.close)
        bench.await_targets()
        yield bench, hanging


def waiting(plane, hanging):
    """What the runs of the hanging pair say that they wait for."""
    texts = collections.Counter()
    for item in plane.get(objects.RUNS)["items"]:
        if item["spec"]["workflowRef"]["name"].startswith(hanging.name):
            status = item["status"]
            texts[status.get("waitingFor") or f'{status["state"]}: {status.get("step", "")}'] += 1
    return dict(texts)


def f5(plane, count):
    with stage(plane, count) as (bench, hanging):
        limit, everybody = 120 + 30 * count, bench.names
        progress.figure("f5_first", **bench.measure(lambda: bench.create(bench.pairs), limit))
        kinds = bench.alone()
        deployment = of_the_deployment(kinds)
        progress.figure("f5_alone", requests_per_deployment=len(deployment), deployment=deployment,
                        requests_per_run=len([kind for kind in kinds if kind not in bigip.UPLOADS]))
        if len(deployment) > MOST_REQUESTS:
            raise RuntimeError(f"a deployment takes {len(deployment)} requests, not {MOST_REQUESTS} at most")
        alone = bench.measure(lambda: bench.renew(everybody), limit)
        progress.figure("f5", **alone)

        hanging.hang()
        bench.create([hanging])
        planes.wait_for("the pair hangs", 60, lambda: len(hanging.request_list()) >= 2)
        beside = bench.measure(lambda: bench.renew(everybody), limit)
        progress.figure("f5_beside_a_hanging_pair", **beside, waiting=waiting(plane, hanging),
                        times_alone=round(beside["seconds"] / alone["seconds"], 2))
        hanging.recover()
        recovered = time.monotonic()
        names = {item["metadata"]["name"] for item in hanging.workflows()}
        ended = bench.succeeded.await_all(names, 900)
        progress.figure("f5_after_the_hang", workflows=len(names), seconds=round(ended - recovered, 2))
