"""A request of somebody who was let in, as handlers get it."""
from dataclasses import dataclass

from .accounts import User
from .unit import Unit
from .wire import Json, Request, parse_object


@dataclass(frozen=True)
class Call:
    unit: Unit
    user: User
    request: Request

    def body(self) -> Json:
        return parse_object(self.request.body)
