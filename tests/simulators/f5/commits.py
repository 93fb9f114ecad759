"""Addresses below tm/transaction, and the commit."""
from . import query
from .call import Call
from .resource import Change
from .routing import Deferred, Routes
from .transactions import Transaction
from .wire import NOT_FOUND, TRANSACTION_FAILED, Invalid, Json, Refusal, not_registered

URL = "/mgmt/tm/transaction"


def add_routes(routes: Routes) -> None:
    routes.add("POST", URL, lambda call: call.unit.transactions.show(call.unit.transactions.start()))
    routes.add("GET", URL, read_all)
    routes.add("PATCH", URL, without_id)
    routes.add("GET", f"{URL}/{{id}}", lambda call, ident: call.unit.transactions.show(find(call, ident)))
    routes.add("PATCH", f"{URL}/{{id}}", lambda call, ident: commit(call, find(call, ident), routes))
    routes.add("DELETE", f"{URL}/{{id}}", remove)
    routes.add("GET", f"{URL}/{{id}}/commands", read_commands)
    routes.add("GET", f"{URL}/{{id}}/commands/{{number}}", read_command)
    routes.add("PATCH", f"{URL}/{{id}}/commands/{{number}}", reorder)
    routes.add("DELETE", f"{URL}/{{id}}/commands/{{number}}", drop)


def find(call: Call, ident: str) -> Transaction:
    return call.unit.transactions.find(ident, call.unit.options.unknown_transaction_code)


def read_all(call: Call) -> Json:
    call.unit.transactions.forget()
    shown = [call.unit.transactions.show(transaction) for transaction in call.unit.transactions.open.values()]
    return query.collection("/tm/transaction", "tm:transaction", call.unit.version.text, shown, call.request.query)


def without_id(call: Call) -> Json:
    raise Invalid(404, "Missing transaction ID for this call.", NOT_FOUND)


def remove(call: Call, ident: str) -> None:
    del call.unit.transactions.open[find(call, ident).ident]


def commit(call: Call, transaction: Transaction, routes: Routes) -> Json:
    body = call.body()
    if body.get("state") != "VALIDATING":
        raise Invalid(400, "simulator: VALIDATING is the only state to ask for", NOT_FOUND)
    if not transaction.commands or transaction.state != "STARTED":
        raise Invalid(404, "there is no command to commit in the transaction.", NOT_FOUND)
    validate_only = body.get("validateOnly") is True
    execute(call, transaction, routes, validate_only)
    if validate_only:  # it can still be committed; the client BIGREST does so
        return call.unit.transactions.show(transaction) | {"state": "COMPLETED", "validateOnly": True}
    transaction.state = "COMPLETED"
    return call.unit.transactions.show(transaction)


def execute(call: Call, transaction: Transaction, routes: Routes, validate_only: bool) -> None:
    """Everything that is queued, on one copy of the configuration; files are read now."""
    def act(change: Change) -> None:
        for command in transaction.in_order():
            found = routes.find(command.request.path)
            handler = found[0].get(command.request.method) if found else None
            if found is None or not isinstance(handler, Deferred):
                raise not_registered(command.request.path)
            handler.act(change, call, command.body, found[1])

    try:
        call.unit.change(call.user.name, act, apply=not validate_only)
    except Refusal as refusal:
        transaction.state, transaction.failure = "FAILED", refusal.message
        if call.unit.options.failed_transaction == "remove":
            del call.unit.transactions.open[transaction.ident]
        raise Invalid(400, f"transaction failed:{refusal.message}", TRANSACTION_FAILED) from None


# --- the commands of a transaction -----------------------------------------------------------------------------------


def read_commands(call: Call, ident: str) -> Json:
    transaction = find(call, ident)
    shown = [call.unit.transactions.show_command(transaction, command) for command in transaction.in_order()]
    return query.collection(f"/tm/transaction/{ident}/commands", "tm:transaction:commands", call.unit.version.text, shown,
                            call.request.query)


def read_command(call: Call, ident: str, number: str) -> Json:
    transaction = find(call, ident)
    return call.unit.transactions.show_command(transaction, call.unit.transactions.find_command(transaction, number))


def reorder(call: Call, ident: str, number: str) -> Json:
    transaction = find(call, ident)
    command, order = call.unit.transactions.find_command(transaction, number), call.body().get("evalOrder")
    if not isinstance(order, int) or order < 1:
        raise Invalid(400, "simulator: evalOrder is a number from 1 on", NOT_FOUND)
    others = [other for other in transaction.in_order() if other is not command]
    others.insert(order - 1, command)
    for at, other in enumerate(others, 1):
        other.order = at
    return call.unit.transactions.show_command(transaction, command)


def drop(call: Call, ident: str, number: str) -> None:
    transaction = find(call, ident)
    transaction.commands.remove(call.unit.transactions.find_command(transaction, number))
