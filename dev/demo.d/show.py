#!/usr/bin/env python3
"""Makes text for dev/demo.

  render FOLDER TEMPLATE      the template, its @NAME@ replaced by what FOLDER/NAME holds
  record                      a WorkflowRun (JSON on standard input) as a record that a person can read
  mails BOX [WORDS...]        the mails of a Maildir, oldest first, that hold all WORDS
"""
import email
import email.policy
import glob
import json
import os
import re
import sys


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


COMMANDS = {"render": render, "record": record, "mails": mails}
COMMANDS[sys.argv[1]](*sys.argv[2:])
