"""The controller as a process of its own, under its shipped RBAC."""

import json
import os
import signal
import socket
import subprocess
import time

import measures
import plane as planes

KUBECONFIG = """apiVersion: v1
kind: Config
current-context: x
clusters: [{{name: c, cluster: {{server: "{server}", certificate-authority: "{ca}"}}}}]
users: [{{name: u, user: {{token: "{token}"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Replica:
    """Use as a context: runs inside it, and is asked to stop at its end."""

    def __init__(self, plane, name="controller", args=()):
        self.plane, self.args = plane, args
        self.log = os.path.join(plane.folder, name + ".log")
        self.kubeconfig = os.path.join(plane.folder, name + ".kubeconfig")
        self.metrics_port = free_port()
        self.process = None
        with open(os.open(self.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(KUBECONFIG.format(server=plane.url, ca=plane.ca, token=plane.controller_token()))

    def __enter__(self):
        argv = [self.plane.programs + "/certflow", "--kubeconfig", self.kubeconfig,
                "--health-address", f"127.0.0.1:{free_port()}",
                "--metrics-address", f"127.0.0.1:{self.metrics_port}",
                "--acme-address", f"127.0.0.1:{free_port()}", *self.args]
        self.started = time.monotonic()
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = planes.child(argv, stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        planes.end(self.process, seconds=40)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    def counters(self):
        return measures.own_counters(self.metrics_port)

    def cpu(self):
        return measures.cpu_seconds(self.pid)

    def memory_kb(self, field="VmRSS"):
        return measures.memory_kb(self.pid, field)

    def log_line(self, message):
        """The first line with this message, or None."""
        with open(self.log, encoding="utf-8") as log:
            for line in log:
                if f'"msg":"{message}"' in line:
                    return json.loads(line)
        if self.process.poll() is not None:
            raise RuntimeError("the controller ended; see " + self.log)
        return None

    def await_log(self, message, seconds=120):
        return planes.wait_for(message, seconds, lambda: self.log_line(message), every=0.01)

    def leading(self):
        return self.await_log("leading: workers started")

    def queued(self, **labels):
        """Keys that wait for a worker."""
        return self.counters().total("certflow_workqueue_depth", **labels)
