"""One device: its configurations (running and saved), accounts, uploads, transactions, and how a change happens."""
from collections.abc import Callable
from typing import TypeVar

from . import integrity
from .accounts import Accounts
from .clock import Clock
from .configuration import Configuration
from .group import Group
from .options import Options
from .resource import Change
from .tasks import Tasks
from .transactions import Transactions
from .uploads import Uploads
from .versions import Version

Result = TypeVar("Result")


class Unit:
    def __init__(self, name: str, hostname: str, address: str, version: Version, clock: Clock, options: Options,
                 group: Group, initial: Configuration) -> None:
        self.name, self.hostname, self.address = name, hostname, address
        self.version, self.clock, self.options, self.group = version, clock, options, group
        self.running, self.saved = initial.copy(), initial.copy()
        self.accounts = Accounts(clock, options, version)
        self.uploads = Uploads(clock, options)
        self.transactions = Transactions(clock, version.text)
        self.tasks = Tasks()
        self.installs: dict[tuple[str, str], int] = {}  # reads until an installed object shows
        self.saves = 0
        group.join(self)

    @property
    def unsaved(self) -> bool:
        return self.running.commit != self.saved.commit

    def change(self, user: str, act: Callable[[Change], Result], apply: bool = True) -> Result:
        """Acts on a copy, which takes the place of the running configuration when its end state is valid."""
        change = Change(self.running.copy(), self.version, self.options, user, self.clock.now(), self.uploads.files.get)
        result = act(change)
        integrity.check(self.running, change)
        if apply:
            change.configuration.changed()
            self.running = change.configuration
            self.group.changed(self)
        return result

    def save(self) -> None:
        self.saved = self.running.copy()
        self.saves += 1

    def restart(self) -> None:
        """Power off and on: what was not saved is gone, and so is what lived in memory. Uploaded files stay."""
        self.running = self.saved.copy()
        self.transactions = Transactions(self.clock, self.version.text)
        self.tasks = Tasks()
        self.uploads.parts.clear()
        if not self.options.restart_keeps_tokens:
            self.accounts.tokens.clear()
        if self.group.peer(self) is not None:
            self.group.set_state(self, "standby")
        self.group.on_change()
