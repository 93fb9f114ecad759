"""A device group: who is active, who has changes, and how they get across."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import names
from .clock import Clock
from .configuration import Configuration
from .options import Options
from .wire import Invalid, Json

if TYPE_CHECKING:
    from .unit import Unit

COLORS = {"In Sync": "green", "Standalone": "green", "Awaiting Initial Sync": "blue", "Changes Pending": "yellow",
          "Not All Devices Synced": "yellow", "Syncing": "yellow", "Disconnected": "red", "Sync Failure": "red"}
UNREACHABLE = ("Disconnected", "Sync Failure")  # forced, they keep every sync from happening; others end with a sync
OTHER = "datasync-global-dg"
FAILOVER_COLORS = {"active": "green", "standby": "gray", "offline": "red", "forced-offline": "red"}
FAILOVER_TEXTS = {"active": "ACTIVE", "standby": "STANDBY", "offline": "OFFLINE", "forced-offline": "FORCED OFFLINE"}


@dataclass
class Running:
    """A sync on its way."""
    target: Unit
    configuration: Configuration  # as it was when the sync was asked for
    polls: int  # how many times somebody still looks before it is there
    ends: float
    save: bool


class Group:
    """One unit is standalone; two share their configuration and a data plane."""

    def __init__(self, name: str, clock: Clock, options: Options) -> None:
        self.name, self.clock, self.options = name, clock, options
        self.units: list[Unit] = []
        self.states: dict[str, str] = {}  # by unit
        self.base = 0  # the commit that all units had last
        self.auto_sync = False
        self.save_on_auto_sync = False
        self.full_load_on_sync = False
        self.polls = 1  # how long a sync takes, in reads of sync-status ...
        self.seconds = 0.0  # ... and by the clock
        self.progress_text = "Changes Pending"  # what is read meanwhile
        self.ignored_syncs = 0  # so many are accepted and then do nothing
        self.forced: dict[str, str] = {}  # status by unit, whatever the truth is
        self.other_status = ""  # of another device group, OTHER, which sync-status does not keep apart
        self.running: Running | None = None
        self.on_change: Callable[[], None] = lambda: None

    def join(self, unit: Unit) -> None:
        """The first one is active."""
        self.states[unit.name] = "standby" if self.units else "active"
        self.units.append(unit)

    # --- failover -----------------------------------------------------------------------------------------------

    def active(self) -> Unit | None:
        for unit in self.units:
            if self.states[unit.name] == "active":
                return unit
        return None

    def peer(self, unit: Unit) -> Unit | None:
        for other in self.units:
            if other is not unit:
                return other
        return None

    def set_state(self, unit: Unit, state: str) -> None:
        """The others make room, or step in."""
        if state not in FAILOVER_TEXTS:
            raise ValueError(f"state {state} is unknown; there are {', '.join(FAILOVER_TEXTS)}")
        self.states[unit.name] = state
        peer = self.peer(unit)
        if peer is not None and state == "active" and self.states[peer.name] == "active":
            self.states[peer.name] = "standby"
        if peer is not None and state != "active" and self.states[peer.name] == "standby":
            self.states[peer.name] = "active"
        self.on_change()

    def failover_status(self, unit: Unit) -> Json:
        state = self.states[unit.name]
        nested = {"color": text(FAILOVER_COLORS[state]), "status": text(FAILOVER_TEXTS[state]),
                  "summary": text(f"1/1 {state}"),
                  "https://localhost/mgmt/tm/cm/failoverStatus/0/details": {"nestedStats": {"entries": {}}}}
        return statistics("/tm/cm/failover-status", "tm:cm:failover-status:failover-status", unit, nested)

    # --- sync ---------------------------------------------------------------------------------------------------

    def has_changes(self, unit: Unit) -> bool:
        """Less than the base has a unit that restarted without having saved what it got."""
        return unit.running.commit > self.base

    def status(self, unit: Unit) -> tuple[str, str]:
        """What sync-status says of all groups together, and its color."""
        own = self.own_status(unit)
        return own if not self.other_status or own[0] != "In Sync" else (self.other_status, color_of(self.other_status))

    def own_status(self, unit: Unit) -> tuple[str, str]:
        if len(self.units) == 1:
            return "Standalone", COLORS["Standalone"]
        if unit.name in self.forced:
            return self.forced[unit.name], color_of(self.forced[unit.name])
        if self.running:
            return self.progress_text, color_of(self.progress_text)
        commits = {member.running.commit for member in self.units}
        if len(commits) == 1:
            return "In Sync", COLORS["In Sync"]
        # Red when both changed: F5Networks/f5-ansible #1788; yellow otherwise: ktbyers/netmiko #2148 quotes F5's manual.
        return "Changes Pending", "red" if all(map(self.has_changes, self.units)) else "yellow"

    def poll(self) -> None:
        """Somebody looked at sync-status; a sync that has taken long enough arrives with that look."""
        if self.running is None:
            return
        if self.running.polls > 0 or self.clock.now() < self.running.ends:
            self.running.polls -= 1
        else:
            self.arrive()

    def arrive(self) -> None:
        run, self.running = self.running, None
        if run is None:
            return
        run.target.running = run.configuration.copy()
        if run.save:
            run.target.save()
        self.base = run.configuration.commit
        self.forced = {name: status for name, status in self.forced.items() if status in UNREACHABLE}
        self.on_change()

    def sync(self, source: Unit, target: Unit, automatic: bool = False) -> None:
        if self.ignored_syncs > 0 and not automatic:
            self.ignored_syncs -= 1
            return
        if any(status in UNREACHABLE for status in self.forced.values()):
            return
        if not self.forced and not self.would_win(source, target):
            return
        save = self.save_on_auto_sync if automatic else self.options.sync_saves_peer
        self.running = Running(target, source.running.copy(), self.polls, self.clock.now() + self.seconds, save)
        if self.polls == 0 and self.seconds == 0:
            self.arrive()

    def would_win(self, source: Unit, target: Unit) -> bool:
        """What is older does not overwrite what is newer (deduced: that is what force-full-load-push is for)."""
        if self.has_changes(source) and self.has_changes(target):
            return self.options.conflict_sync == "overwrite"
        return source.running.commit > target.running.commit

    def changed(self, unit: Unit) -> None:
        """A unit's running configuration is another now."""
        peer = self.peer(unit)
        if peer is None:
            self.base = unit.running.commit
        elif self.auto_sync:
            self.sync(unit, peer, automatic=True)
        self.on_change()

    def command(self, unit: Unit, words: list[str]) -> None:
        """config-sync [force-full-load-push] to-group|from-group GROUP [force-full-load-push]"""
        rest = [word for word in words if word != "force-full-load-push"]
        if len(rest) != 3 or rest[0] != "config-sync" or rest[1] not in ("to-group", "from-group"):
            raise Invalid(400, '"config-sync" unexpected argument', 26214401)
        peer = self.peer(unit)
        if peer is None or names.base_name("/" + rest[2]) != self.name:
            raise Invalid(400, f"01020036:3: The requested device group ({rest[2]}) was not found.")
        source, target = (unit, peer) if rest[1] == "to-group" else (peer, unit)
        if len(rest) < len(words):
            self.force(source, target)
        else:
            self.sync(source, target)

    def force(self, source: Unit, target: Unit) -> None:
        self.running = Running(target, source.running.copy(), self.polls, self.clock.now() + self.seconds,
                               self.options.sync_saves_peer)

    def sync_status(self, unit: Unit) -> Json:
        self.poll()
        status, color = self.status(unit)
        lines = self.details(unit, self.own_status(unit)[0])
        if self.other_status:
            lines.append(f"{OTHER} ({self.other_status})")
        inner = "https://localhost/mgmt/tm/cm/syncStatus/0/details"
        details = {f"{inner}/{at}": {"nestedStats": {"entries": {"details": text(line)}}}
                   for at, line in enumerate(lines)}
        mode = "standalone" if len(self.units) == 1 else "high-availability"
        nested = {"color": text(color), inner: {"nestedStats": {"entries": details}}, "mode": text(mode),
                  "status": text(status), "summary": text(" " if status in ("Standalone", "In Sync") else
                                                          f"There are changes pending in {self.name}")}
        return statistics("/tm/cm/sync-status", "tm:cm:sync-status:sync-status", unit, nested)

    def details(self, unit: Unit, status: str) -> list[str]:
        peer = self.peer(unit)
        if peer is None:
            return ["Optional action: Add a device to the trust domain"]
        connection = "disconnected" if status == "Disconnected" else "connected"
        lines = [f"{peer.hostname}: {connection}"]
        if status == "In Sync":
            return lines + [f"{self.name} (In Sync): All devices in the device group are in sync"]
        if self.running is not None or unit.name in self.forced:
            return lines + [f"{self.name} ({status})"]
        newest = max(self.units, key=lambda member: member.running.commit)
        if all(self.has_changes(member) for member in self.units):
            between = " and ".join(member.hostname for member in self.units)
            lines.append(f"{self.name} ({status}): There is a possible change conflict between {between}.")
        else:
            lines.append(f"{self.name} ({status}): Changes on {newest.hostname} need to be synchronized")
        return lines + [f" - Recommended action: Synchronize {newest.hostname} to group {self.name}"]

    # --- the objects ---------------------------------------------------------------------------------------------

    def devices(self, asked: Unit) -> list[Json]:
        return [self.show_device(asked, unit) for unit in self.units]

    def show_device(self, asked: Unit, unit: Unit) -> Json:
        path = f"/Common/{unit.hostname}"
        state = self.states[unit.name]
        return {
            "kind": "tm:cm:device:devicestate", "name": unit.hostname, "partition": "Common", "fullPath": path,
            "generation": 1, "selfLink": names.link(f"/tm/cm/device/{names.identifier(path)}", asked.version.text),
            "configsyncIp": unit.address if len(self.units) > 1 else "none", "edition": "Final", "failoverState": state,
            "hostname": unit.hostname, "managementIp": unit.address, "product": "BIG-IP",
            "selfDevice": "true" if unit is asked else "false", "version": unit.version.text}

    def groups(self, asked: Unit) -> list[Json]:
        """The one that matters stands between others, as on a device."""
        shown = [self.show_group(asked, "device_trust_group", "sync-only", "enabled", False)]
        if len(self.units) > 1:
            shown.append(self.show_group(asked, self.name, "sync-failover", "enabled" if self.auto_sync else "disabled",
                                         self.save_on_auto_sync))
        return shown + [self.show_group(asked, "gtm", "sync-only", "enabled", True)]

    def show_group(self, asked: Unit, name: str, kind: str, auto: str, save: bool) -> Json:
        path = f"/Common/{name}"
        url = f"/tm/cm/device-group/{names.identifier(path)}"
        return {
            "kind": "tm:cm:device-group:device-groupstate", "name": name, "partition": "Common", "fullPath": path,
            "generation": 1, "selfLink": names.link(url, asked.version.text), "asmSync": "disabled", "autoSync": auto,
            "fullLoadOnSync": "true" if self.full_load_on_sync else "false", "incrementalConfigSyncSizeMax": 1024,
            "networkFailover": "enabled" if kind == "sync-failover" else "disabled",
            "saveOnAutoSync": "true" if save else "false", "type": kind, "devicesReference": {
                "link": names.link(f"{url}/devices", asked.version.text), "isSubcollection": True}}


def color_of(status: str) -> str:
    return COLORS.get(status, "gray")


def text(value: str) -> Json:
    return {"description": value}


def statistics(url: str, kind: str, unit: Unit, nested: Json) -> Json:
    return {"kind": f"{kind}stats", "selfLink": names.link(url, unit.version.text),
            "entries": {f"{names.BASE}{url}/0": {"nestedStats": {"entries": nested}}}}
