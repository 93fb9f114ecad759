"""Asynchronous tasks below /mgmt/tm/task."""
from collections.abc import Callable
from dataclasses import dataclass

from .wire import NOT_FOUND, Invalid, Json, Refusal

FIRST_TASK = 123456
RUNNING_POLLS = 1  # how many reads say RUNNING before the end


@dataclass
class Task:
    ident: int
    kind: str  # "sys/config" or "cm/config-sync"
    body: Json
    act: Callable[[], None]
    state: str = "STARTED"
    polls: int = RUNNING_POLLS
    failure: str = ""


class Tasks:
    def __init__(self) -> None:
        self.all: dict[int, Task] = {}

    def create(self, kind: str, body: Json, act: Callable[[], None]) -> Task:
        ident = FIRST_TASK + len(self.all)
        task = self.all[ident] = Task(ident, kind, body, act)
        return task

    def find(self, kind: str, ident: str) -> Task:
        task = self.all.get(int(ident)) if ident.isdecimal() else None
        if task is None or task.kind != kind:
            raise Invalid(404, "Task not found", NOT_FOUND)
        return task

    def busy(self) -> bool:
        return any(task.state == "VALIDATING" for task in self.all.values())

    def look(self, task: Task) -> None:
        """A read; a task that ran long enough ends with it."""
        if task.state != "VALIDATING":
            return
        if task.polls > 0:
            task.polls -= 1
            return
        try:
            task.act()
            task.state = "COMPLETED"
        except Refusal as refusal:
            task.state, task.failure = "FAILED", refusal.message

    @staticmethod
    def show(task: Task, version: str) -> Json:
        shown = task.body | {
            "_taskId": task.ident, "_taskState": task.state, "_taskTimeInStateMs": 0,
            "selfLink": f"https://localhost/mgmt/tm/task/{task.kind}/{task.ident}?ver={version}"}
        return shown | ({"errorMessage": task.failure} if task.failure else {})
