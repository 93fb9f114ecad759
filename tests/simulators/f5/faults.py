"""What goes wrong, by script: rules that match requests and play a fault a number of times."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .wire import MCPD_LOST, TASK_ACTIVE, Denied, Invalid, Json, Page, Refusal, Request

# Before the request has an effect.
BEFORE = {
    "latency": "waits `seconds`, then goes on", "hang": "never answers, and has no effect",
    "drop-before": "ends the connection; no effect", "busy": "503 A, another task is executing",
    "restarting": "503 C, the configuration utility restarts", "not-registered": "404 B, the worker is down",
    "mcpd-lost": "500 A", "icrd-down": "400 B, connection refused", "html": "502 C, a page where JSON was expected",
    "status": "the status `status` with body A, or C when `html` is true; `message`, `apiError`",
    "token-expired": "401 B, and the token is gone", "no-token": "401 B as without credentials, token stays",
    "role-denied": "401 B, the role is too low", "upload-echo": "400 B with the posted bytes in it",
    "failover": "the other unit becomes active, then goes on", "restart": "this unit restarts, then goes on",
}
# After the request had its effect.
AFTER = {
    "drop-after": "ends the connection without an answer", "hang-after": "never answers",
    "timeout-applied": "400 B TimeoutException", "gateway-timeout": "504 C", "async-timeout": "500 C of Jetty",
    "cut": "ends the connection after `bytes` bytes of the answer", "truncated": "half of the JSON, correctly framed",
    "slow": "`bytes` bytes at a time, `seconds` apart", "failover-after": "the other unit becomes active",
    "restart-after": "this unit restarts once the answer is on its way",
}
FIELDS = {"unit": str, "method": str, "path": str, "fault": str, "skip": int, "count": int, "seconds": (int, float),
          "bytes": int, "status": int, "html": bool, "message": str, "apiError": int}


@dataclass
class Rule:
    fault: str
    unit: str | None = None  # both units when it is not given
    method: str | None = None
    path: str = ""  # a regular expression, searched in the path
    skip: int = 0  # so many requests that match pass first
    count: int | None = 1  # None: for good
    seconds: float = 0.0
    bytes: int = 0
    status: int = 500
    html: bool = False
    message: str = "played by the simulator"
    api_error: int = 3
    played: int = 0

    def matches(self, unit: str, request: Request) -> bool:
        if self.count is not None and self.played >= self.count:
            return False
        return self.unit in (None, unit) and self.method in (None, request.method) and \
            re.search(self.path, request.path) is not None

    def show(self) -> Json:
        return {"fault": self.fault, "unit": self.unit, "method": self.method, "path": self.path, "skip": self.skip,
                "count": self.count, "played": self.played}


def rule(body: Json) -> Rule:
    """A rule from its JSON; ValueError says what is wrong with it."""
    for name, value in body.items():
        if name not in FIELDS:
            raise ValueError(f"{name} is no part of a fault; there are {', '.join(FIELDS)}")
        if name == "count" and value is None:
            continue
        kind: Any = FIELDS[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{name} of a fault cannot be {value!r}")
    if body.get("fault") not in BEFORE and body.get("fault") not in AFTER:
        raise ValueError(f"fault {body.get('fault')} is unknown; there are {', '.join([*BEFORE, *AFTER])}")
    try:
        re.compile(body.get("path", ""))
    except re.error as error:
        raise ValueError(f"path of a fault is a regular expression: {error}") from None
    given = {("api_error" if name == "apiError" else name): value for name, value in body.items()}
    return Rule(**given)


class Faults:
    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def match(self, unit: str, request: Request) -> list[Rule]:
        """The rules that play on this request; counts them."""
        playing = []
        for candidate in self.rules:
            if not candidate.matches(unit, request):
                continue
            if candidate.skip > 0:
                candidate.skip -= 1
                continue
            candidate.played += 1
            playing.append(candidate)
        return playing


def refusal_before(rule_: Rule, request: Request) -> Refusal | None:
    """The answer that a fault gives instead of the unit."""
    simple: dict[str, Refusal] = {
        "busy": Invalid(503, "There is an active asynchronous task executing.", TASK_ACTIVE),
        "restarting": Page(503, "Configuration Utility restarting..."),
        "not-registered": Denied(404, "Public URI path not registered. Please see /var/log/restjavad.0.log and "
                                      "/var/log/restnoded/restnoded.log for details."),
        "mcpd-lost": Invalid(500, "The connection to mcpd has been lost, try again.", MCPD_LOST),
        "icrd-down": Denied(400, "java.net.ConnectException: Connection refused (Connection refused)"),
        "html": Page(502, "Bad Gateway"),
        "token-expired": Denied(401, "X-F5-Auth-Token has expired."),
        "no-token": Denied(401, "Authorization failed: no user authentication header or token detected. "
                                f"Uri:http://localhost:8100{request.path} Referrer:{request.sender} "
                                f"Sender:{request.sender}"),
        "role-denied": Denied(401, "Authorization failed: user=https://localhost/mgmt/shared/authz/users/svc "
                                   f"resource={request.path} verb={request.method} uri:http://localhost:8100"
                                   f"{request.path} referrer:{request.sender} sender:{request.sender}"),
        "upload-echo": Denied(400, "simulator: the upload failed",
                              original_body=request.body.decode("utf-8", "replace")),
        "status": Page(rule_.status, rule_.message) if rule_.html else
        Invalid(rule_.status, rule_.message, rule_.api_error),
    }
    return simple.get(rule_.fault)


def refusal_after(rule_: Rule, request: Request) -> Refusal | None:
    """The answer that a fault puts in the place of the unit's."""
    simple: dict[str, Refusal] = {
        "timeout-applied": Denied(400, "java.util.concurrent.TimeoutException: remoteSender:"
                                       f"{request.sender}, method:{request.method} "),
        "gateway-timeout": Page(504, "Gateway Timeout"),
        "async-timeout": Page(500, "AsyncContext timeout"),
    }
    return simple.get(rule_.fault)
