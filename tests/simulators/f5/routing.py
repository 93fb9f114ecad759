"""Addresses with places in them, such as /mgmt/tm/ltm/virtual/{id}, found without looking at every one."""
from collections.abc import Callable
from typing import Any

Handler = Callable[..., Any]
PLACE = "{}"


class Node:
    def __init__(self) -> None:
        self.below: dict[str, Node] = {}
        self.handlers: dict[str, Handler] = {}


class Routes:
    def __init__(self) -> None:
        self._root = Node()

    def add(self, method: str, path: str, handler: Handler) -> None:
        node = self._root
        for part in path.strip("/").split("/"):
            node = node.below.setdefault(PLACE if part.startswith("{") else part, Node())
        node.handlers[method] = handler

    def find(self, path: str) -> tuple[dict[str, Handler], list[str]] | None:
        """The handlers by method, and what stands in the places; None for an address that nobody knows."""
        node, places = self._root, []
        for part in path.strip("/").split("/"):
            following = node.below.get(part)
            if following is None:
                following = node.below.get(PLACE)
                if following is None:
                    return None
                places.append(part)
            node = following
        return (node.handlers, places) if node.handlers else None
