"""The log of requests, for tests that ask what a client did: bounded, and without anything that is secret."""
import dataclasses
import json
import re
from collections import deque
from dataclasses import dataclass

from .wire import Json, Request

LIMIT = 20000  # requests that are remembered
LONGEST_BODY = 4096  # bytes of a body that are kept
SECRET_FIELDS = frozenset({"password", "passphrase", "keyPassphrase", "token"})
SECRET_HEADERS = frozenset({"authorization", "x-f5-auth-token", "cookie"})
REDACTED = "<redacted>"
TOKEN_ADDRESS = re.compile(r"(/mgmt/shared/authz/tokens/)[^/?]+")


@dataclass
class Line:
    number: int
    time: float
    unit: str
    request: Request
    body_bytes: int  # of what was sent; the request here has lost its body when that is no JSON, or long
    in_flight: int  # other requests of the same unit under way when this one came
    status: int = 0  # 0 while there is no answer, and when the connection was dropped
    faults: tuple[str, ...] = ()


class Journal:
    def __init__(self) -> None:
        self.lines: deque[Line] = deque(maxlen=LIMIT)
        self.count = 0

    def begin(self, time: float, unit: str, request: Request, in_flight: int) -> Line:
        self.count += 1
        kept = request if not request.body or is_short_json(request) else dataclasses.replace(request, body=b"")
        line = Line(self.count, time, unit, kept, len(request.body), in_flight)
        self.lines.append(line)
        return line

    def show(self, unit: str | None, since: int) -> list[Json]:
        return [show(line) for line in self.lines if line.number > since and unit in (None, line.unit)]


def show(line: Line) -> Json:
    request = line.request
    return {
        "number": line.number, "time": line.time, "unit": line.unit, "method": request.method,
        "path": TOKEN_ADDRESS.sub(rf"\1{REDACTED}", request.path), "query": request.query,
        "headers": {name: REDACTED if name in SECRET_HEADERS else value for name, value in request.headers.items()},
        "body": show_body(request), "bodyBytes": line.body_bytes, "inFlight": line.in_flight, "status": line.status,
        "faults": list(line.faults)}


def is_short_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").split(";")[0]
    return kind == "application/json" and len(request.body) <= LONGEST_BODY


def show_body(request: Request) -> object:
    """JSON without its secrets; of anything else nothing."""
    if not request.body:
        return None
    try:
        return redact(json.loads(request.body))
    except ValueError:
        return None


def redact(value: object) -> object:
    if isinstance(value, dict):
        return {key: REDACTED if key in SECRET_FIELDS else redact(inner) for key, inner in value.items()}
    return [redact(inner) for inner in value] if isinstance(value, list) else value
