"""The objects that the bench creates."""

import hashlib
import json
import subprocess

from plane import API

NAMESPACE = "bench"
WORKFLOWS = f"{API}/namespaces/{NAMESPACE}/certificateworkflows"
RUNS = f"{API}/namespaces/{NAMESPACE}/workflowruns"
AUTHORITIES = f"{API}/namespaces/{NAMESPACE}/certificateauthorities"
TARGETS = f"{API}/namespaces/{NAMESPACE}/deploymenttargets"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
# As the controller writes, so that the server does the same work.
AS_CONTROLLER = "?fieldManager=certflow&fieldValidation=Strict"


def digest(value):
    """As the controller makes it, for values without numbers beyond integers and text beyond ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def secret(name, data, kind="Opaque", labels=None):
    return {"apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels or {}}, "stringData": data}


def allowed(name, data, kind="Opaque"):
    """A Secret that certflow may use although it did not make it."""
    return secret(name, data, kind, {"certflow.dev/allow": "true"})


def make_ca(folder, name, above=None):
    """Certificate and key (PEM) of a CA, below another one or its own root."""
    key, certificate = f"{folder}/{name}.key", f"{folder}/{name}.crt"
    signer = ["-CA", f"{folder}/{above}.crt", "-CAkey", f"{folder}/{above}.key"] if above else []
    subprocess.run(["openssl", "req", "-x509", *signer, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "3650", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate,
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign"], check=True, capture_output=True)
    return read(certificate), read(key)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def make_internal_authority(plane, intermediate=False):
    """The CertificateAuthority `corp`, its key pair in a Secret."""
    certificate, key = make_ca(plane.folder, "corp")
    pair = {"tls.crt": certificate, "tls.key": key}
    if intermediate:
        issuing, key = make_ca(plane.folder, "issuing", above="corp")
        pair = {"tls.crt": issuing, "tls.key": key, "ca.crt": certificate}
    plane.create(SECRETS, allowed("corp-ca", pair, "kubernetes.io/tls"))
    plane.create(AUTHORITIES, {"apiVersion": "certflow.dev/v1alpha1", "kind": "CertificateAuthority",
                               "metadata": {"name": "corp", "namespace": NAMESPACE},
                               "spec": {"ca": {"secretName": "corp-ca"}}})


def workflow(name, authority="corp", domain="example.com"):
    host = f"{name}.{domain}"
    return {"apiVersion": "certflow.dev/v1alpha1", "kind": "CertificateWorkflow",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"certificate": {"commonName": host, "dnsNames": [host], "secretName": f"{name}-tls"},
                     "authorities": [{"name": authority}]}}


def names(prefix, count):
    return [f"{prefix}{number:06d}" for number in range(count)]


def run_names(count):
    return [f"st-{number:010x}" for number in range(count)]


def creates(path, bodies):
    return [("POST", path, body) for body in bodies]


class Pattern:
    """A workflow and its ended run that the controller itself made, to be repeated under other names."""

    def __init__(self, plane, name):
        self._name = name
        one = plane.get(f"{WORKFLOWS}/{name}")
        run = plane.get(f"{RUNS}/{one['status']['lastRun']['name']}")
        self._uid, self._run_name = one["metadata"]["uid"], run["metadata"]["name"]
        for item in (one, run):
            for field in ("managedFields", "creationTimestamp", "generation", "resourceVersion", "uid"):
                item["metadata"].pop(field, None)
        self._workflow, self._run = json.dumps(one), json.dumps(run)

    def workflow(self, name, run_name):
        item = json.loads(self._workflow.replace(self._run_name, run_name).replace(self._name, name))
        item["status"]["specDigest"] = digest({key: item["spec"][key] for key in ("certificate", "authorities")})
        return item

    def run(self, name, run_name, uid):
        text = self._run.replace(self._run_name, run_name).replace(self._name, name).replace(self._uid, uid)
        item = json.loads(text)
        item["spec"]["planDigest"] = digest(item["spec"]["plan"])
        return item


def status_update(path, item, version):
    """PUT of the status of an object that was just created."""
    body = {key: item[key] for key in ("apiVersion", "kind", "status")}
    body["metadata"] = {"name": item["metadata"]["name"], "namespace": NAMESPACE, "resourceVersion": version}
    return ("PUT", f"{path}/{item['metadata']['name']}/status{AS_CONTROLLER}", body)
