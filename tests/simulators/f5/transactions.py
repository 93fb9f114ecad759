"""tm/transaction: requests that are queued and then all happen, or none."""
from dataclasses import dataclass, field

from . import names
from .clock import Clock
from .wire import NOT_FOUND, Invalid, Json, Request

TIMEOUT_SECONDS, EXECUTION_SECONDS = 120, 300
REMEMBERED = 1000


@dataclass
class Command:
    number: int
    order: int
    request: Request
    body: Json


@dataclass
class Transaction:
    ident: int
    used: float  # the time of the last use
    state: str = "STARTED"
    failure: str = ""
    commands: list[Command] = field(default_factory=list)
    numbered: int = 0

    def in_order(self) -> list[Command]:
        return sorted(self.commands, key=lambda command: (command.order, command.number))


class Transactions:
    def __init__(self, clock: Clock, version_text: str) -> None:
        self.clock, self.version_text = clock, version_text
        self.open: dict[int, Transaction] = {}
        self.last = 0

    def start(self) -> Transaction:
        self.forget()
        # Sixteen digits, as microseconds since 1970 are.
        self.last = max(self.last + 1, int(self.clock.now() * 1_000_000))
        transaction = self.open[self.last] = Transaction(self.last, self.clock.now())
        return transaction

    def forget(self) -> None:
        """What was idle too long is removed, and nobody is told."""
        now = self.clock.now()
        for transaction in list(self.open.values()):
            if transaction.state == "STARTED" and now - transaction.used > TIMEOUT_SECONDS:
                del self.open[transaction.ident]
        while len(self.open) > REMEMBERED:
            del self.open[next(iter(self.open))]

    def find(self, ident: str, missing_code: int) -> Transaction:
        self.forget()
        transaction = self.open.get(int(ident)) if ident.isdecimal() else None
        if transaction is None:
            raise Invalid(missing_code, f"simulator: the transaction {ident} is not there", NOT_FOUND)
        transaction.used = self.clock.now()
        return transaction

    def queue(self, transaction: Transaction, request: Request, body: Json) -> Json:
        if transaction.state != "STARTED":
            raise Invalid(400, f"simulator: the transaction {transaction.ident} is {transaction.state}", NOT_FOUND)
        transaction.numbered += 1
        command = Command(transaction.numbered, transaction.numbered, request, body)
        transaction.commands.append(command)
        return self.show_command(transaction, command)

    def find_command(self, transaction: Transaction, number: str) -> Command:
        for command in transaction.commands:
            if str(command.number) == number:
                return command
        raise Invalid(400, f"Found invalid command id {number}", NOT_FOUND)

    def show(self, transaction: Transaction) -> Json:
        return {"transId": transaction.ident, "state": transaction.state, "timeoutSeconds": TIMEOUT_SECONDS,
                "asyncExecution": False, "validateOnly": False, "executionTimeout": EXECUTION_SECONDS, "executionTime": 0,
                "failureReason": transaction.failure, "kind": "tm:transactionstate", "selfLink": self.link(transaction)}

    def show_command(self, transaction: Transaction, command: Command) -> Json:
        return {"method": command.request.method, "uri": f"https://localhost{command.request.path}",
                "body": command.body, "evalOrder": command.order, "commandId": command.number,
                "kind": "tm:transaction:commandsstate",
                "selfLink": self.link(transaction, f"/commands/{command.number}")}

    def link(self, transaction: Transaction, below: str = "") -> str:
        return names.link(f"/tm/transaction/{transaction.ident}{below}", self.version_text)
