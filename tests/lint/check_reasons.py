#!/usr/bin/env python3
"""check_reasons.py: docs/ names what the code can say, no more and no less.

usage: check_reasons.py [--list]

- docs/reasons.md: every reason that an error, condition, ledger entry or event can have;
- docs/metrics.md: every metric;
- docs/install.md: every flag of the command line;
- docs/notifications.md: every field of the templates and every event.

A row of a table counts, by the first `code` in it. A reason is a literal in one of the places of REASON below. Any other
word of several capitals in the code must be in OTHER, so that a reason in a new kind of place is not overlooked.
--list prints the reasons with the files that they come from.
"""
import re
import sys

from tracked import ROOT, report, tracked

WORD = r'"([A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)?)"'
CHOICE = rf'(?:[\w.]+\s*\?\s*)?{WORD}(?:\s*:\s*{WORD})?'
REASON = [re.compile(p, re.DOTALL) for p in (
    rf'ErrorCode::k\w+,\s*{CHOICE}',                                  # MakeError and tables of errors
    rf'{WORD},\s*ErrorCode::k',
    rf'\breason\s*=\s*{WORD}',
    rf'\bkReason\w+ = {WORD}',
    rf'\b(?:Done|Halted)\{{\s*{CHOICE}',                              # ledger entries, a workflow that waits
    rf'\bDone \w+\([^)]*\) \{{\s*return \{{{WORD}',
    rf'\bSkipped\((?:[^,;]*,){{2}}\s*{WORD}',
    rf'RunState::k\w+,\s*{CHOICE}\s*,',                               # the end of a run
    rf'SetCondition\([^;]*?k(?:True|False|Unknown),\s*{CHOICE}',      # conditions
    rf'Record\(\s*\{{[^;]*?(?:true|false|nullptr),\s*{WORD}',            # events
    rf'std::string ReasonOf\([^}}]*?return {WORD}',
    rf'return {WORD};\s*(?=[^}}]*return "Http")',
)]
# Functions that take a reason and make the error.
MAKER = re.compile(r'\bError (\w+)\((?:std::string_view|const char\*) reason')
# Reasons that are put together: "<Kind>NotFound".
KIND_NOT_FOUND = re.compile(r'return Find\([\w.]+, "(\w+)"')
# Other words: kinds, values of fields, names of HTTP headers, what Kubernetes calls things.
OTHER = set("""
    CertificateWorkflow WorkflowRun CertificateAuthority DeploymentTarget NotificationChannel ValidatingAdmissionPolicy
    ValidatingAdmissionPolicyBinding TokenReview SubjectAccessReview SelfSubjectAccessReview ExecCredential DeleteOptions
    FirstIssue SpecChanged RollbackRequested RolledBack NotIn DoesNotExist NotOlderThan ServerTimeout IfAvailable PreviousCertificate
    ApprovalRequested ConfirmationFailed RenewalFailed DeploymentFailed Expiring StartTLS NewOrder ProveControl NotFound
    AlreadyExists RateLimited UnknownOutcome PrivateKeyInfo ClientSide ServerSide
    StatefulSet DaemonSet OnDelete ProgressDeadlineExceeded ResolvedRefs""".split())


def sources():
    for path in tracked("controller/*.h", "controller/*.cc", "providers/*.h", "providers/*.cc"):
        yield path, re.sub(r"(?m)//.*$", "", (ROOT / path).read_text())


def reasons_of(text):
    found = set()
    patterns = list(REASON)
    patterns += [re.compile(rf'\b{name}\(\s*{CHOICE}') for name in MAKER.findall(text)]
    patterns += [re.compile(rf'\b{name}\([\w=. ]+\?\s*{WORD}\s*:\s*{WORD}') for name in MAKER.findall(text)]
    for pattern in patterns:
        for match in pattern.finditer(text):
            found |= {group for group in match.groups() if group}
    return found | {kind + "NotFound" for kind in KIND_NOT_FOUND.findall(text)}


def said_by_code():
    """reason -> files; and words that are in no known place."""
    reasons, words = {}, {}
    for path, text in sources():
        for reason in reasons_of(text):
            reasons.setdefault(reason, []).append(path)
        for word in re.findall(WORD, text):
            words.setdefault(word, path)
    unknown = {w: p for w, p in words.items() if sum(c.isupper() for c in w) > 1 and w not in reasons and w not in OTHER}
    return reasons, unknown


def rows(document):
    """The first `code` of each row of a table in docs/."""
    path = ROOT / "docs" / document
    if not path.is_file():
        sys.exit(f"docs/{document} is missing")
    return re.findall(r"(?m)^\|\s*`([^`]+)`", path.read_text())


def compare(document, what, said, documented):
    problems = [f"docs/{document}: the {what} {name} is missing" for name in sorted(said - set(documented))]
    problems += [f"docs/{document}: there is no {what} {name} in the code" for name in sorted(set(documented) - said)]
    twice = {name for name in documented if documented.count(name) > 1}
    return problems + [f"docs/{document}: the {what} {name} is there twice" for name in sorted(twice)]


def metrics():
    return {name for _path, text in sources() for name in re.findall(r'"(certflow_[a-z0-9_]+)"', text)}


def flags():
    text = (ROOT / "controller/app/config.cc").read_text()
    return {flag for names in re.findall(r'"((?:--|!)[a-z0-9,!-]+)"', text) for flag in names.replace("!", "").split(",")}


def template_fields():
    text = (ROOT / "controller/workflow/outbox.cc").read_text()
    fields = set(re.findall(r'fields\["([\w.]+)"\]', text))
    ends = re.findall(r'fields\[prefix \+ "(\.\w+)"\]', text)
    for prefix in re.findall(r'AddCertificate\(fields, "(\w+)"', text):
        fields |= {prefix + end for end in ends}
    return fields


def events():
    return set(re.findall(r'kEvent\w+ = "(\w+)"', (ROOT / "controller/workflow/outbox.h").read_text()))


def main():
    reasons, unknown = said_by_code()
    if sys.argv[1:] == ["--list"]:
        for reason, paths in sorted(reasons.items()):
            print(f"{reason:32} {' '.join(paths)}")
        return 0
    problems = [f"{path}: \"{word}\" is neither in a place of a reason nor in OTHER" for word, path in sorted(unknown.items())]
    problems += compare("reasons.md", "reason", set(reasons), rows("reasons.md"))
    problems += compare("metrics.md", "metric", metrics(), [name for name in rows("metrics.md") if name.startswith("certflow_")])
    problems += compare("install.md", "flag", flags() | {"--help", "--version"},
                        [name.split()[0] for name in rows("install.md") if name.startswith("--")])
    problems += compare("notifications.md", "field or event", template_fields() | events(), rows("notifications.md"))
    return report("reasons", problems)


if __name__ == "__main__":
    sys.exit(main())
