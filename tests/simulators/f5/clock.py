"""The one source of time of a simulator; scripts move it, nothing waits for it."""
import datetime
import time


class Clock:
    """Real time plus what was advanced; frozen, only what was advanced."""

    def __init__(self, frozen_at: float | None = None) -> None:
        self._offset = 0.0
        self._frozen_at = frozen_at

    def now(self) -> float:
        return (time.time() if self._frozen_at is None else self._frozen_at) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def freeze(self, frozen: bool) -> None:
        now = self.now()
        self._offset = 0.0 if frozen else now - time.time()
        self._frozen_at = now if frozen else None


def micros(seconds: float) -> int:
    return int(seconds * 1_000_000)


def utc_text(seconds: float) -> str:
    """As configuration objects say it: 2017-06-04T00:57:47Z."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds_text(seconds: float) -> str:
    """As tokens say it: 2019-12-03T05:25:10.321-0800."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}+0000"
