#!/usr/bin/env python3
"""check_yaml.py: every tracked YAML and JSON file parses, and no mapping says a key twice (YAML lets the last one win)."""
import json
import sys

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian's python3-yaml is, whatever python3 comes first
import yaml  # noqa: E402

from tracked import ROOT, report, tracked  # noqa: E402


class Strict(yaml.SafeLoader):
    pass


def mapping(loader, node):
    keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode) and k.value != "<<"]
    twice = sorted({k for k in keys if keys.count(k) > 1})
    if twice:
        raise yaml.YAMLError(f"{node.start_mark}: said twice: {', '.join(twice)}")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def main():
    problems = []
    for path in tracked("*.yaml", "*.yml", "*.json"):
        if "/templates/" in path or path.startswith("tests/testdata/"):
            continue
        text = (ROOT / path).read_text()
        try:
            if path.endswith(".json"):
                json.loads(text)
            else:
                for _document in yaml.load_all(text, Loader=Strict):
                    pass
        except (yaml.YAMLError, ValueError) as error:
            problems.append(f"{path}: {error}")
    return report("yaml", problems)


if __name__ == "__main__":
    sys.exit(main())
