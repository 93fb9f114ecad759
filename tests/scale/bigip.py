"""Simulated BIG-IP pairs for workflows, and what they counted themselves."""

import json
import re
import subprocess
import urllib.request

import measures
import objects
from acme import Peer
from objects import SECRETS, TARGETS

# What brings files to the device and takes them away again.
UPLOADS = ("POST file-transfer/uploads", "POST util/unix-rm")
# Asked for once and shared by all who work on the pair.
SHARED = ("POST authn/login", "PATCH authz/tokens", "DELETE authz/tokens", "GET cm/device-group")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_CONTAINER = re.compile(r"^/mgmt/(?:tm/|shared/)?(ltm/profile/[^/]+|sys/file/[^/]+|[^/]+(?:/[^/~]+)?)")


def kind_of(line):
    """Method and address of a request, without the object's name: "GET ltm/profile/client-ssl"."""
    found = _CONTAINER.match(line["path"])
    where = found[1] if found else line["path"]
    if where.startswith("transaction"):
        where = "transaction"
    return f'{line["method"]} {where}'


def make_original(folder):
    """Certificate and key (PEM) that stand in the profiles at first."""
    key, certificate = folder + "/original.key", folder + "/original.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=original", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return objects.read(certificate), objects.read(key)


def first_objects(pair, count, original):
    """`count` virtual servers, each with a profile of its own."""
    made = [{"kind": "ssl-cert", "name": "original.crt", "content": original[0]},
            {"kind": "ssl-key", "name": "original.key", "content": original[1]}]
    for i in range(count):
        entry = {"name": "original", "cert": "/Common/original.crt", "key": "/Common/original.key"}
        made.append({"kind": "client-ssl", "name": f"vs{i}_clientssl", "certKeyChain": [entry]})
        made.append({"kind": "virtual", "name": f"vs{i}", "destination": f"/Common/10.10.{pair}.{i + 1}:443",
                     "profiles": [{"name": "/Common/tcp"}, {"name": "/Common/http"},
                                  {"name": f"/Common/vs{i}_clientssl"}]})
    return made


class Simulator(Peer):
    """One process that plays `pairs` pairs. Use as a context."""

    def __init__(self, plane, name, pairs):
        super().__init__(plane, "f5", "--pairs", str(pairs), "--empty", folder=name)
        self.count = pairs

    def control(self, method, path, body=None):
        request = urllib.request.Request(f'http://{self.says["control"]}{path}', method=method,
                                         data=None if body is None else json.dumps(body).encode())
        with _OPENER.open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def units(self, number):
        suffix = "" if number == 1 else str(number)
        return [self.says["a" + suffix], self.says["b" + suffix]]

    def cpu(self):
        return measures.cpu_seconds(self.pid)


class Pair:
    """One pair of a simulator: its DeploymentTarget, its virtual servers, its own counts."""

    def __init__(self, plane, simulator, number, name, virtual_servers):
        self.simulator, self.number, self.name = simulator, number, name
        made = simulator.control("POST", "/objects", {
            "pair": number, "objects": first_objects(number, virtual_servers, plane.original)})
        self.endpoints = [made["virtualServers"][f"/Common/vs{i}"] for i in range(virtual_servers)]
        plane.create(SECRETS, objects.allowed(name, {"password": simulator.says["password"]}))
        plane.create(TARGETS, {"apiVersion": "certflow.dev/v1alpha1", "kind": "DeploymentTarget",
                               "metadata": {"name": name, "namespace": objects.NAMESPACE},
                               "spec": {"f5": {"hosts": simulator.units(number), "username": simulator.says["user"],
                                               "passwordSecretRef": {"name": name, "key": "password"},
                                               "tls": {"caBundle": objects.read(simulator.says["ca"])}}}})

    def workflows(self):
        return [self._workflow(i) for i in range(len(self.endpoints))]

    def _workflow(self, i):
        made = objects.workflow(f"{self.name}-vs{i}")
        made["spec"]["deployment"] = {"waves": [{"name": "f5", "targets": [
            {"targetRef": {"name": self.name}, "f5": {"virtualServers": [{"name": f"vs{i}"}]}}]}]}
        made["spec"]["validation"] = {"endpoints": [self.endpoints[i]], "trust": "Authority"}
        return made

    def forget_requests(self):
        self.simulator.control("DELETE", f"/requests?pair={self.number}")

    def request_list(self):
        """The kinds of its requests in order, as the simulator has them."""
        return [kind_of(line) for line in self.simulator.control("GET", f"/requests?pair={self.number}")]

    def most_tokens(self):
        """The most tokens that one of the units ever had at a time."""
        state = self.simulator.control("GET", f"/state?pair={self.number}")
        return max(unit["mostTokens"] for unit in state["units"].values())

    def hang(self):
        """From now on it accepts, and does not answer."""
        self.simulator.control("POST", "/faults", {"pair": self.number, "fault": "hang", "count": None})

    def recover(self):
        self.simulator.control("DELETE", f"/faults?pair={self.number}")
