#!/usr/bin/env python3
"""Checks crds/ and manifests/ for what the API server does not check.

usage: check_manifests.py [--write]

- every schema node has a type and a bound, every rule a message that says what to do;
- a run's plan holds the workflow's spec, without defaults, rules and descriptions (--write makes it so);
- nobody but people's roles may approve, nobody lists or watches Secrets, no rule has a wildcard,
  and every rule says why it is there.
"""
import copy
import pathlib
import re
import sys

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian's python3-yaml is, whatever python3 comes first
import yaml  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
INSTALL = ROOT / "manifests" / "install"
BEGIN = "                    # begin of the workflow's spec\n"
END = "                    # end of the workflow's spec\n"
FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate"}


def schema_of(path):
    crd = yaml.safe_load(path.read_text(encoding="utf-8"))
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def bare(node):
    """The schema without what checks, explains or fills in."""
    dropped = {"default", "description", "x-kubernetes-validations"}
    if isinstance(node, list):
        return [bare(n) for n in node]
    if not isinstance(node, dict):
        return node
    result = {k: bare(v) for k, v in node.items() if k == "properties" or k not in dropped}
    if "properties" in node:
        result["properties"] = {k: bare(v) for k, v in node["properties"].items()}
    return result


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def plan_text(workflow):
    spec = bare(copy.deepcopy(workflow["properties"]["spec"]))
    text = yaml.dump({"spec": spec}, Dumper=Plain, sort_keys=False, width=110,
                     default_flow_style=None)
    return "".join(" " * 20 + line + "\n" for line in text.splitlines())


def check_plan(write):
    path = CRDS / "workflowruns.yaml"
    text = path.read_text(encoding="utf-8")
    begin = text.index(BEGIN) + len(BEGIN)
    end = text.index(END)
    wanted = plan_text(schema_of(CRDS / "certificateworkflows.yaml"))
    if text[begin:end] == wanted:
        return []
    if write:
        path.write_text(text[:begin] + wanted + text[end:], encoding="utf-8")
        return []
    return [f"{path.name}: spec.plan.spec differs from the workflow's spec: "
            "run tests/lint/check_manifests.py --write"]


def unbounded(node):
    kind = node.get("type")
    if kind == "string":
        return "maxLength" if not {"maxLength", "enum"} & node.keys() else None
    if kind == "array":
        return "maxItems" if "maxItems" not in node else None
    if kind == "object" and "additionalProperties" in node:
        return "maxProperties" if "maxProperties" not in node else None
    return None if kind in ("object", "integer", "boolean") else "a type"


def check_schema(path, node, where):
    problems = []
    missing = unbounded(node)
    if missing:
        problems.append(f"{path.name}: {where} lacks {missing}")
    for rule in node.get("x-kubernetes-validations", []):
        if not re.search(r": \S|remove|use ", rule.get("message", "")):
            problems.append(f"{path.name}: {where}: a rule's message names no remedy")
    for name, child in node.get("properties", {}).items():
        if where or name not in ("apiVersion", "kind", "metadata"):
            problems += check_schema(path, child, f"{where}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            problems += check_schema(path, node[key], f"{where}[]")
    return problems


def check_rules(path, document):
    name = f"{path.name}: {document['kind']} {document['metadata']['name']}"
    problems = []
    for rule in document.get("rules") or []:
        verbs = set(rule["verbs"])
        everything = verbs | set(rule.get("resources", [])) | set(rule.get("apiGroups", []))
        if everything & FORBIDDEN_VERBS:
            problems.append(f"{name}: {sorted(everything & FORBIDDEN_VERBS)} is never granted")
        if "secrets" in rule.get("resources", []) and verbs & {"list", "watch"}:
            problems.append(f"{name}: Secrets are never listed or watched")
        if "approve" in verbs and document["metadata"]["name"] != "certflow-approver":
            problems.append(f"{name}: only certflow-approver may approve")
    return problems


def check_comments(path):
    """In a Role, the line before each rule says why."""
    problems = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"  - (apiGroups|nonResourceURLs):", line) and not re.match(r"  #", lines[number - 1]):
            problems.append(f"{path.name}:{number + 1}: a rule without its reason")
    return problems


def main():
    problems = check_plan("--write" in sys.argv[1:])
    for path in sorted(CRDS.glob("*.yaml")):
        problems += check_schema(path, schema_of(path), "")
    for path in sorted(INSTALL.rglob("*.yaml")):
        problems += check_comments(path)
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document and document["kind"] in ("Role", "ClusterRole"):
                problems += check_rules(path, document)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
