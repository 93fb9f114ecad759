#!/usr/bin/env python3
"""Makes text for dev/demo.

  render FOLDER TEMPLATE      the template, its @NAME@ replaced by what FOLDER/NAME holds
  record, waves, deployment, places
                              a WorkflowRun (JSON on standard input) for people: all of it, what it is going to do, its
                              ledger from the first deployment on, where the certificate was put
  mails BOX [WORDS...]        the mails of a Maildir, oldest first, that hold all WORDS
  bigip CERTIFICATE KEY       the objects of a virtual server that uses this pair, as tests/simulators/f5 takes them
  watch SERVERNAME PLACE=HOST:PORT ...
                              looks at the places without end, and tells each new certificate: TIME PLACE FINGERPRINT
"""
import email
import email.policy
import glob
import hashlib
import json
import os
import re
import socket
import ssl
import sys
import time


def render(folder, template):
    """"@NAME@" stands in quotes for a text, "@NAME:number@" for a number without them."""
    def value(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read().rstrip("\n")

    with open(template, encoding="utf-8") as file:
        text = "\n".join(line for line in file.read().split("\n") if not line.startswith("#"))
    text = re.sub(r'"@([A-Z_]+):number@"', lambda m: str(int(value(m[1]))), text)
    print(re.sub(r"@([A-Z_]+)@", lambda m: json.dumps(value(m[1]))[1:-1], text))


def clock(text):
    return text[11:19] if text else "        "


def took(entry):
    return f"{clock(entry.get('startedAt'))} - {clock(entry.get('endedAt'))}"


def lines(title, rows):
    if rows:
        print(f"  {title}")
    for row in rows:
        print(f"    {row}".rstrip())


def certificate(title, of):
    if of:
        print(f"  {title:<10} {of.get('fingerprint', '')[:32]}...  of {of.get('issuer', '')}, until "
              f"{of.get('notAfter', '')}")


def entry_text(entry):
    what = entry["step"] + (f" on {entry['target']}" if entry.get("target") else "")
    why = f"  ({entry['message']})" if entry.get("message") else ""
    return f"{took(entry)}  {entry['state']:<8}  {what}{why}"


def decision_text(decision):
    group = f" in {','.join(decision['groups'])}" if decision.get("groups") else ""
    return (f"{clock(decision['time'])}  {decision['decision']} {decision['gate']} by {decision['user']}{group}"
            f" for layer {decision.get('layer', '')}; written: {decision.get('source', '')!r}")


def table(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(("    " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths))).rstrip())


def waves():
    plan = json.load(sys.stdin)["spec"]["plan"]
    for number, wave in enumerate(plan["spec"]["deployment"]["waves"]):
        targets = [f"{target.get('name', 'its own Secret')} ({target['type']})"
                   for target in plan["targets"] if target["wave"] == number]
        print(f"    wave {wave['name']:<9} {', '.join(targets):<50} proved at {', '.join(wave.get('endpoints', []))}")


def deployment():
    for entry in json.load(sys.stdin)["status"]["ledger"]:
        if entry["step"] in ("Deployment", "Validation", "Rollback", "Rollback-Validation"):
            print(f"    {entry_text(entry)}")


def places():
    run = json.load(sys.stdin)
    names = [wave["name"] for wave in run["spec"]["plan"]["spec"]["deployment"]["waves"]]
    rows = [("WAVE", "DEVICE", "IP", "PORT", "VIRTUAL HOST", "SIDE, NAME", "PROFILE, FILE", "STATE", "VERSION", "BEFORE")]
    rows += [(names[row["wave"]], row["device"], row.get("address", ""), row.get("port", ""), row.get("virtualHost", ""),
              row.get("side", row.get("serverName", "")), row.get("profile", row.get("location", "")), row["state"],
              row["version"], row.get("previous", "nothing")) for row in run["status"]["deployments"]]
    table(rows)


def record():
    run = json.load(sys.stdin)
    spec, status = run["spec"], run.get("status", {})
    trigger = spec["trigger"]
    asked = f", asked for by {trigger['requestedBy']}" if trigger.get("requestedBy") else ""
    print(f"  run        {run['metadata']['name']}, number {spec['number']} of workflow {spec['workflowRef']['name']}")
    print(f"  why        {trigger['reason']}{asked}")
    print(f"  plan       {spec['planDigest']} (never changes; it is what was approved)")
    print(f"  state      {status.get('state', '')}: {status.get('message', '')}")
    certificate("before", status.get("previousCertificate"))
    certificate("issued", status.get("certificate"))
    lines("checks", [f"{c['verdict']:<8}  {c['name']} {c.get('subject', '')} {c.get('value', '')}".rstrip() +
                     (f"  ({c['message']})" if c.get("message") else "") for c in status.get("checks", [])])
    lines("ledger", [entry_text(e) for e in status.get("ledger", [])])
    lines("approvals", [decision_text(d) for d in status.get("approvals", [])])
    lines("refused", [f"{clock(r['time'])}  {r.get('source', '')!r}: {r['message']}" for r in status.get("refusals", [])])
    lines("evidence", [f"{clock(e['time'])}  {e['verdict']:<8}  {e['endpoint']} {e.get('tlsVersion', '')} serves "
                       f"{e.get('fingerprint', '')[:32]}... {e.get('message', '')}" for e in status.get("evidence", [])])
    lines("told", [f"{o['state']:<8}  {o['event']} by {o.get('channel', '')}" for o in status.get("outbox", [])])


def mails(box, *words):
    copies = {}  # text -> whom it was delivered to; everybody has a copy of their own, bcc is in nobody's header
    for path in sorted(glob.glob(box + "/new/*"), key=os.path.getmtime):
        with open(path, "rb") as file:
            mail = email.message_from_binary_file(file, policy=email.policy.default)
        head = "".join(f"{name}: {mail[name]}\n" for name in ("From", "To", "Subject") if mail[name])
        copies.setdefault(head + "\n" + mail.get_content().rstrip(), []).append(str(mail["Envelope-to"]))
    for text, receivers in copies.items():
        if all(word in text for word in words):
            text = f"Delivered to: {', '.join(receivers)}\n{text}"
            print("\n".join(f"    | {line}".rstrip() for line in text.split("\n")) + "\n")


def bigip(certificate_file, key_file):
    def content(path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    pair = {"cert": "/Common/site_2024_Q3.crt", "key": "/Common/site_2024_Q3.key"}
    print(json.dumps({"objects": [
        {"kind": "ssl-cert", "name": "site_2024_Q3.crt", "content": content(certificate_file)},
        {"kind": "ssl-key", "name": "site_2024_Q3.key", "content": content(key_file)},
        {"kind": "client-ssl", "name": "site_clientssl", "certKeyChain": [{"name": "site", **pair}]},
        {"kind": "server-ssl", "name": "site_serverssl", **pair},
        {"kind": "virtual", "name": "vs_site", "destination": "/Common/10.10.10.20:443", "profiles": [
            {"name": "/Common/tcp"},
            {"name": "/Common/site_clientssl", "context": "clientside"},
            {"name": "/Common/site_serverssl", "context": "serverside"}]}]}))


def served(address, server_name):
    """The fingerprint of what is served there; empty where nobody answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), 2) as plain:
            with context.wrap_socket(plain, server_hostname=server_name) as secured:
                return hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest()
    except OSError:
        return ""


def watch(server_name, *places_to_watch):
    """Looks at the last place first, and tells of the first one first: where they change in their order, no look that
    comes late can show it otherwise."""
    addresses = dict(place.split("=", 1) for place in places_to_watch)
    last = dict.fromkeys(addresses, "")
    said_ready = False
    while True:
        now = {name: served(address, server_name) for name, address in reversed(addresses.items())}
        for name in addresses:
            if now[name] and now[name] != last[name]:
                print(time.strftime("%H:%M:%S"), name, now[name], flush=True)
                last[name] = now[name]
        if not said_ready and all(last.values()):
            said_ready = True
            print("ready", flush=True)
        time.sleep(0.1)


COMMANDS = {"render": render, "record": record, "waves": waves, "deployment": deployment, "places": places, "mails": mails,
            "bigip": bigip, "watch": watch}
COMMANDS[sys.argv[1]](*sys.argv[2:])
