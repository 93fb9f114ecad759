"""The write ceiling of the server, without any controller."""

import base64

import objects
import progress
from objects import AS_CONTROLLER, RUNS, SECRETS
from progress import rounded

NOBODY = "00000000-0000-0000-0000-000000000000"


def fill(plane, pattern, count):
    """Runs, their status and Secrets, each as large as the real ones. Figures by kind."""
    names = objects.names("raw", count)
    runs = [pattern.run(*pair, NOBODY) for pair in zip(names, objects.run_names(count))]
    figures = {}
    bodies = [{key: value for key, value in run.items() if key != "status"} for run in runs]
    figures["create"], heads = timed(plane, objects.creates(RUNS + AS_CONTROLLER, bodies), heads=True)
    updates = [objects.status_update(RUNS, run, version) for run, (_, version, _) in zip(runs, heads)]
    figures["status"] = timed(plane, updates)
    secrets = [objects.secret(name, {"tls.crt": base64.b64encode(bytes(700)).decode(),
                                     "tls.key": base64.b64encode(bytes(180)).decode()}) for name in names]
    figures["secret"] = timed(plane, objects.creates(SECRETS + AS_CONTROLLER, secrets))
    figures["status"]["bytes"] = len(str(updates[0][2]))
    return figures


def timed(plane, requests, heads=False):
    cpu = plane.cpu()
    done = plane.load(requests, heads)
    sent, answers = done if heads else (done, None)
    figures = rounded({"per_second": len(requests) / sent["seconds"],
                       "server_cpu_ms": (plane.cpu() - cpu) * 1000 / len(requests),
                       "p50_ms": sent["p50_ms"], "p99_ms": sent["p99_ms"]}, 2)
    return (figures, answers) if heads else figures


def raw(plane, pattern, count):
    """Prints the ceiling; the rates by kind."""
    figures = fill(plane, pattern, count)
    for kind, values in figures.items():
        progress.figure("raw_" + kind, writes=count, in_flight=8, **values)
    rates = {kind: values["per_second"] for kind, values in figures.items()}
    # One run, one status of it, one of its workflow, the Secret and its version; and the workflow's own creation.
    mix = 2 / rates["create"] + 2 / rates["status"] + 2 / rates["secret"]
    progress.figure("raw_mix", mix="2 creates, 2 status, 2 Secrets", ideal_runs_per_second=round(1 / mix, 1))
    plane.request("DELETE", RUNS + "?labelSelector=certflow.dev/workflow-uid=" + NOBODY)
    return rates
