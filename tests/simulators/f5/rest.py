"""iControl REST of one unit: who may ask what, and what is answered."""
import traceback
from collections.abc import Callable

from . import cluster, commits, crypto, objects, system
from .call import Call
from .resource import Change
from .routing import Deferred, Endpoint, Routes
from .unit import Unit
from .wire import (NOT_FOUND, TASK_ACTIVE, Denied, Invalid, Json, Page, Refusal, Request, Response, answer, not_registered,
                   strict)

LONGEST_MESSAGE = 2000  # of an error, before 16.1
COORDINATION = "x-f5-rest-coordination-id"


class Rest:
    """Answers the requests to one unit."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.routes = Routes()
        for module in (system, cluster, commits, objects, crypto):
            module.add_routes(self.routes)

    def handle(self, request: Request) -> Response:
        try:
            return self.dispatch(request)
        except Refusal as refusal:
            return self.refused(refusal, request)
        except Exception:  # a mistake of ours: whoever reads the log learns where, the client does not wait
            traceback.print_exc()
            return Page(500, "simulator: it failed itself, see its standard error").response(request)

    def refused(self, refusal: Refusal, request: Request) -> Response:
        if self.unit.version.cuts_error_bodies:
            refusal.message = refusal.message[:LONGEST_MESSAGE]
        return refusal.response(request)

    def dispatch(self, request: Request) -> Response:
        if request.path == "/mgmt/shared/authn/login" and request.method == "POST":
            return answer(self.unit.accounts.log_in(request))
        user = self.unit.accounts.authenticate(request)
        self.unit.accounts.authorize(user, request)
        found = self.routes.find(request.path)
        if found is None:
            raise not_registered(request.path)
        handlers, places = found
        handler = handlers.get(request.method)
        if handler is None:
            raise Denied(405, f"simulator: {request.method} is not allowed on {request.path}")
        call = Call(self.unit, user, request)
        if COORDINATION in request.headers and request.method != "GET":
            return self.coordinate(call, handler, places)
        if request.method != "GET" and self.unit.tasks.busy() and self.unit.options.task_blocks_writes and \
                "/tm/task/" not in request.path:
            raise Invalid(503, "There is an active asynchronous task executing.", TASK_ACTIVE)
        return self.act(call, handler, places)

    def write(self, call: Call, handler: Deferred, places: list[str]) -> Response:
        body = call.body()

        def act(change: Change) -> Callable[[], Json | None]:
            render: Callable[[], Json | None] = handler.act(change, call, body, places)
            return render
        return answer(call.unit.change(call.user.name, act)())

    def act(self, call: Call, handler: Endpoint, places: list[str]) -> Response:
        if isinstance(handler, Deferred):
            return self.write(call, handler, places)
        shown: Json | Response | None = handler(call, *places)
        return shown if isinstance(shown, Response) else answer(shown)

    def coordinate(self, call: Call, handler: Endpoint, places: list[str]) -> Response:
        """A request with the header of a transaction is queued, if it is of a kind that can be."""
        ident = call.request.headers[COORDINATION]
        if call.request.path.startswith("/mgmt/tm/transaction"):
            raise Invalid(400, f"Transaction {ident} operation .... is not allowed to be added to transaction.", NOT_FOUND)
        can_wait = isinstance(handler, Deferred) and \
            ("/sys/crypto/" not in call.request.path or self.unit.options.crypto_in_transaction)
        if not can_wait and self.unit.options.strict_coordination:
            raise strict(f"the header of a transaction on {call.request.path}")
        if not can_wait:
            return self.act(call, handler, places)
        transaction = commits.find(call, ident)
        return answer(self.unit.transactions.queue(transaction, call.request, call.body()))
