#!/usr/bin/env python3
"""check_layers.py: a file includes only from layers before its own, and the controller names no vendor.

The table below is the one of the style guide. `providers` uses base, net, pki, kube and seams, no provider's folder
includes another's but the shared ones, and only `app` uses `providers`. A vendor's name is a whole word, in any case, in controller/ outside
app/; vendor_words_allowed.txt lists the few files where one is right, with the reason.
"""
import re
import sys

from tracked import ROOT, report, tracked

LAYERS = {
    "base": set(),
    "net": {"base"},
    "pki": {"base"},
    "kube": {"base", "net", "pki"},
    "seams": {"base", "net", "pki"},
    "runtime": {"base", "net", "pki", "kube", "seams"},
    "api": {"base", "net", "pki", "kube", "seams"},
}
LAYERS["workflow"] = LAYERS["runtime"] | {"runtime", "api"}
LAYERS["steps"] = LAYERS["workflow"] | {"workflow"}
LAYERS["reconcile"] = LAYERS["steps"] | {"steps"}
LAYERS["serve"] = LAYERS["steps"] | {"steps"}
LAYERS["app"] = LAYERS["reconcile"] | {"reconcile", "serve", "providers"}
# What providers share: how settings are read; and those that speak HTTP: requests, answers, credentials.
SHARED = ("providers/fields", "providers/http")
PROVIDERS_USE = {"base", "net", "pki", "kube", "seams"}

VENDORS = ("f5 bigip nginx apache httpd haproxy pebble letsencrypt exim postfix vault venafi stepca smallstep slack "
           "servicenow pagerduty jira cloudflare fastly akamai certmanager jenkins ansible").split()
VENDOR = re.compile(r"(?<![a-z0-9])(" + "|".join(VENDORS) + r")(?![a-z0-9])", re.IGNORECASE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def allowed_words():
    allowed = {}
    for line in (ROOT / "tests/lint/vendor_words_allowed.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path, word, _reason = line.split(None, 2)
            allowed.setdefault(path, set()).add(word.lower())
    return allowed


def provider_folder(path):
    """providers/targets/host/x.h -> providers/targets/host; None for files directly in providers/ (the registry)."""
    parts = path.split("/")
    if len(parts) > 3:
        return "/".join(parts[:3])
    return "/".join(parts[:2]) if len(parts) == 3 else None


def check_include(path, included):
    parts, target = path.split("/"), included.split("/")
    if parts[0] == "controller":
        layer = parts[1]
        used = target[1] if target[0] == "controller" else target[0]
        if layer not in LAYERS:
            return f"controller/{layer} is not in the table of layers"
        if target[0] not in ("controller", "providers") or used == layer:
            return None
        return None if used in LAYERS[layer] else f"{layer} may not use {included}"
    if target[0] == "controller":
        return None if target[1] in PROVIDERS_USE else f"providers may not use {included}"
    if target[0] == "providers":
        own, other = provider_folder(path), provider_folder(included)
        if own is not None and other not in (own, *SHARED):
            return f"a provider may not use another's folder: {included}"
    return None


def main():
    problems, allowed = [], allowed_words()
    for path in tracked("controller/*.h", "controller/*.cc", "providers/*.h", "providers/*.cc"):
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            wrong = check_include(path, match[1]) if match else None
            if wrong:
                problems.append(f"{path}:{number}: {wrong}")
            if not path.startswith("controller/") or path.startswith("controller/app/"):
                continue
            words = {word.lower() for word in VENDOR.findall(line)} - allowed.get(path, set())
            problems += [f"{path}:{number}: the controller names a vendor: {word}" for word in sorted(words)]
    return report("layers", problems)


if __name__ == "__main__":
    sys.exit(main())
