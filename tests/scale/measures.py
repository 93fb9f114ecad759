"""What processes and servers say about themselves."""

import os
import re
import urllib.request

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)$')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def cpu_seconds(*pids):
    """User and system time of processes so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_kb(pid, field="VmRSS"):
    """VmRSS is what is resident now, VmHWM the most that was."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no {field}")


def load():
    """The machine's load: figures of a busy machine are to be read as ratios."""
    return round(os.getloadavg()[0], 1)


def descendants(pid):
    """Names of the programs below a process, to their pids."""
    parents, names = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                head, _, tail = stat.read().rpartition(")")
        except OSError:
            continue  # ended meanwhile
        parents[int(entry)] = int(tail.split()[1])
        names[int(entry)] = head.partition("(")[2]
    found = {}
    for candidate, name in names.items():
        above = parents.get(candidate)
        while above and above != pid:
            above = parents.get(above)
        if above == pid:
            found[name] = candidate
    return found


class Counters(dict):
    """Samples of a Prometheus text: (name, labels as a frozenset of pairs) to value."""

    @classmethod
    def parse(cls, text, names):
        counters = cls()
        for line in text.splitlines():
            if not line.startswith(names):
                continue
            match = _SAMPLE.match(line)
            if match:
                labels = frozenset(_LABEL.findall(match[2] or ""))
                counters[match[1], labels] = float(match[3])
        return counters

    def since(self, before):
        changed = Counters()
        for key, value in self.items():
            if value != before.get(key, 0):
                changed[key] = value - before.get(key, 0)
        return changed

    def total(self, name, **labels):
        wanted = set(labels.items())
        return sum(v for (n, have), v in self.items() if n == name and wanted <= have)


def own_counters(port):
    """The controller's metrics."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return Counters.parse(answer.read().decode(), ("certflow_",))


_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "APPLY": "apply", "DELETE": "delete"}
_READS = {"GET": "get", "LIST": "list", "WATCH": "watch"}
_OURS = {"certificateworkflows", "workflowruns", "certificateauthorities", "deploymenttargets",
         "notificationchannels", "secrets", "events", "ingresses"}


def requests_by_kind(changed, kinds):
    """{"create workflowruns": 1000, ...} of what a server counted, for what a controller of ours touches."""
    out = {}
    for (name, labels), value in changed.items():
        have = dict(labels)
        verb = kinds.get(have.get("verb"))
        if name != "apiserver_request_total" or verb is None or have.get("resource") not in _OURS:
            continue
        what = f'{verb} {have["resource"]}'
        if have.get("subresource"):
            what += "/" + have["subresource"]
        out[what] = out.get(what, 0) + int(value)
    return out


def writes_by_kind(changed):
    return requests_by_kind(changed, _WRITES)


def reads_by_kind(changed):
    return requests_by_kind(changed, _READS)
