"""A real etcd and kube-apiserver with everything of ours installed, as tests/controlplane starts them."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

import measures
import progress

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
API = "/apis/certflow.dev/v1alpha1"


def end(process, number=signal.SIGTERM, seconds=15):
    """Ends a child and waits for it."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def child(argv, **options):
    """Starts a program that ends with this one, however that ends, and that Ctrl-C does not reach by itself."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *argv], start_new_session=True,
                            stdin=subprocess.DEVNULL, **options)


class Plane:
    """Use as a context; the control plane lives inside it."""

    def __init__(self, programs):
        self.programs = programs  # folder of certflow, certflow-controlplane and certflow-load
        self.folder = self.process = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="certflow-bench-")
        try:
            self._start()
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self):
        plane = os.path.join(self.folder, "plane")
        with open(os.path.join(self.folder, "plane.log"), "w", encoding="utf-8") as log:
            self.process = child([self.programs + "/certflow-controlplane", "--dir", plane],
                                 stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self.process.stdout:
            if line.startswith("server "):
                self.url = line.split()[1]
            if line.startswith("ready"):
                break
        else:
            raise RuntimeError("the control plane does not start")
        self.ca = os.path.join(plane, "ca.crt")
        self.kubeconfig = os.path.join(plane, "admin.kubeconfig")
        with open(os.path.join(plane, "tokens.csv"), encoding="utf-8") as users:
            self._token = next(line.split(",")[0] for line in users if '"admin"' in line)
        running = measures.descendants(self.process.pid)
        self.servers = [running["kube-apiserver"], running["etcd"]]

    def _install(self):
        for path in ("crds", "manifests/install"):
            self.kubectl("apply", "--server-side", "-f", os.path.join(ROOT, path))
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        self.kubectl("create", "namespace", "bench")
        wait_for("the control plane is ready", 60, self._takes_workflows)

    def _takes_workflows(self):
        """The policies know our kinds only a moment after these are there."""
        probe = {"apiVersion": "certflow.dev/v1alpha1", "kind": "CertificateWorkflow", "metadata": {"name": "probe"},
                 "spec": {"certificate": {"dnsNames": ["probe.example.com"], "secretName": "probe-tls"},
                          "authorities": [{"name": "corp"}]}}
        try:
            self.create(API + "/namespaces/bench/certificateworkflows?dryRun=All", probe)
        except RuntimeError:
            return False
        return True

    def kubectl(self, *args, text=None):
        command = [os.environ["KUBEBUILDER_ASSETS"] + "/kubectl", "--kubeconfig", self.kubeconfig, *args]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args[:3])}: {done.stderr.strip()}")
        return done.stdout

    def controller_token(self):
        return self.kubectl("-n", "certflow-system", "create", "token", "certflow", "--duration", "24h").strip()

    def connection(self):
        return http.client.HTTPSConnection(self.url.split("//")[1], timeout=120,
                                           context=ssl.create_default_context(cafile=self.ca))

    @contextlib.contextmanager
    def _answer(self, method, path, body=None):
        """What the administrator gets for one request; a refusal is an error."""
        connection = self.connection()
        try:
            connection.request(method, path, body, {"Authorization": "Bearer " + self._token,
                                                    "Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {answer.read().decode()[:300]}")
            yield answer
        finally:
            connection.close()

    def request(self, method, path, body=None):
        """One request as the administrator; the answer's text."""
        with self._answer(method, path, body) as answer:
            return answer.read().decode()

    def stream(self, path):
        """The chunks of an answer that does not end by itself; the connection ends with the iteration."""
        with self._answer("GET", path) as answer:
            while chunk := answer.read1(1 << 20):
                yield chunk

    def get(self, path):
        return json.loads(self.request("GET", path))

    def create(self, path, body):
        return json.loads(self.request("POST", path, json.dumps(body)))

    def counters(self):
        return measures.Counters.parse(self.request("GET", "/metrics"), ("apiserver_request_total",))

    def cpu(self):
        return measures.cpu_seconds(*self.servers)

    def load(self, requests, heads=False, in_flight=8):
        """Sends (method, path, body)s by the load generator. Its figures; with `heads` also (name, version, uid)s."""
        lines = "".join(f"{m}\t{p}\t{json.dumps(b, separators=(',', ':'))}\n" for m, p, b in requests)
        command = [self.programs + "/certflow-load", "--server", self.url, "--ca", self.ca,
                   "--in-flight", str(in_flight)]
        path = os.path.join(self.folder, "heads")
        if heads:
            command += ["--heads", path]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False,
                              env={**os.environ, "CERTFLOW_LOAD_TOKEN": self._token})
        if done.returncode != 0:
            raise RuntimeError("the load generator failed: " + done.stdout + done.stderr)
        figures = json.loads(done.stdout)
        if not heads:
            return figures
        with open(path, encoding="utf-8") as file:
            return figures, [line.rstrip("\n").split("\t") for line in file]

    def watch(self, resource, on_object):
        return Watch(self, f"{API}/{resource}", self._token, on_object)


class Watch:
    """Calls on_object(type, object, when) for everything that happens, on a thread of its own, until closed."""

    def __init__(self, plane, path, token, on_object):
        version = plane.get(path + "?limit=1")["metadata"]["resourceVersion"]
        self._connection = plane.connection()
        self._connection.timeout = 3600
        self._connection.request("GET", f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=3600",
                                 headers={"Authorization": "Bearer " + token})
        self._answer = self._connection.getresponse()
        self._on_object = on_object
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for line in self._answer:
                event = json.loads(line)
                self._on_object(event["type"], event["object"], time.monotonic())
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def close(self):
        if self._connection.sock is not None:
            self._connection.sock.shutdown(2)
        self._thread.join(5)
        self._connection.close()


def wait_for(what, seconds, condition, every=0.05):
    """Until condition() is true; its value."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > limit:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(every)
    progress.say(what)
    return value
