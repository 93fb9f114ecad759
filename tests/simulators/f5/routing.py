"""Addresses with places in them, such as /mgmt/tm/ltm/virtual/{id}, found without looking at every one."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Handler = Callable[..., Any]  # of a call and what stands in the places: the body of the answer
PLACE = "{}"


@dataclass(frozen=True)
class Deferred:
    """A write to the configuration, which is done at once or queued in a transaction.

    `act` takes the change in the making, the call, the body and what stands in the places; it returns what makes the answer
    once the change is in force.
    """
    act: Callable[..., Any]


Endpoint = Handler | Deferred


class Node:
    def __init__(self) -> None:
        self.below: dict[str, Node] = {}
        self.handlers: dict[str, Endpoint] = {}


class Routes:
    def __init__(self) -> None:
        self._root = Node()

    def add(self, method: str, path: str, handler: Endpoint) -> None:
        node = self._root
        for part in path.strip("/").split("/"):
            node = node.below.setdefault(PLACE if part.startswith("{") else part, Node())
        node.handlers[method] = handler

    def find(self, path: str) -> tuple[dict[str, Endpoint], list[str]] | None:
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
