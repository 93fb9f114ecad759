"""Requests, answers, and the three bodies that a refusal can have."""
import html
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
OPERATION_IDS = itertools.count(7941661)


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # without query and trailing slash, still percent-encoded
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    sender: str = "127.0.0.1"


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=UTF-8"
    reason: str = ""


def answer(body: Json | None = None, status: int = 200) -> Response:
    return Response(status, b"" if body is None else json.dumps(body, separators=(",", ":")).encode())


class Refusal(Exception):
    """An error answer; the subclass decides about its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def response(self, request: Request) -> Response:
        raise NotImplementedError


# apiError values that were seen.
NOT_FOUND, TRANSACTION_FAILED, VALIDATION = 1, 2, 3
FILE_OR_TMSH, MCPD_LOST, TASK_ACTIVE = 26214401, 32768001, 32964609


class Invalid(Refusal):
    """Body A: what mcpd and icrd say about a configuration."""

    def __init__(self, status: int, message: str, api_error: int = VALIDATION) -> None:
        super().__init__(status, message)
        self.api_error = api_error

    def response(self, request: Request) -> Response:
        return answer({"code": self.status, "message": self.message, "errorStack": [], "apiError": self.api_error},
                      self.status)


class Denied(Refusal):
    """Body B: what the REST framework says, mostly about accounts and addresses."""

    def __init__(self, status: int, message: str, reason: str = "", original_body: str | None = None) -> None:
        super().__init__(status, message)
        self.reason = reason
        self.original_body = original_body

    def response(self, request: Request) -> Response:
        body: Json = {"code": self.status, "message": self.message}
        if self.original_body is not None:
            body["originalRequestBody"] = self.original_body
        body |= {"referer": request.sender, "restOperationId": next(OPERATION_IDS), "kind": ":resterrorresponse"}
        plain = answer(body, self.status)
        return Response(plain.status, plain.body, plain.content_type, self.reason)


class Page(Refusal):
    """Body C: a page of HTML, from Apache or Jetty."""

    def response(self, request: Request) -> Response:
        text = html.escape(self.message)
        page = f"<html><head><title>{self.status}</title></head><body><h1>{text}</h1></body></html>\n"
        return Response(self.status, page.encode(), "text/html; charset=iso-8859-1")


def not_registered(path: str) -> Denied:
    return Denied(404, f"URI path {path} not registered.  Please verify URI is supported and wait for /available "
                       "suffix to be responsive.")


def strict(what: str) -> Denied:
    """A refusal of the simulator's own, which says so."""
    return Denied(400, f"simulator, strict: {what}")


def parse_object(body: bytes) -> Json:
    """The JSON object of a request; nothing at all counts as an empty one."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, UnicodeDecodeError):
        raise Denied(400, "Found invalid JSON body in the request.") from None
    if not isinstance(value, dict):
        raise Denied(400, "Found invalid JSON body in the request.")
    return value
