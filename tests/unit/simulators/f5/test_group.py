"""Two units in a device group."""
from scene import CLIENT_SSL, Scene


class Syncing(Scene):
    def exists(self, name: str, unit: str) -> bool:
        return self.ask("GET", f"{CLIENT_SSL}/~Common~{name}", unit=unit).status == 200

    def test_change_is_pending_on_both_until_it_is_synced_and_then_arrives(self) -> None:
        self.assertEqual((self.status("a"), self.status("b")), ("In Sync", "In Sync"))
        self.good(self.profile("p"))
        self.assertEqual((self.status("a"), self.status("b")), ("Changes Pending", "Changes Pending"))
        self.assertEqual(self.sync_entries()["color"]["description"], "yellow")
        self.assertEqual(self.details()[-1], " - Recommended action: Synchronize bigip-1a.example.com to group failover_group")
        self.pair.group.polls = 2
        self.good(self.sync())
        self.assertEqual([self.status() for _ in range(3)], ["Changes Pending", "Changes Pending", "In Sync"])
        self.assertTrue(self.exists("p", "b"))

    def test_nothing_recommends_an_action_while_a_sync_is_on_its_way(self) -> None:
        self.good(self.profile("p"))
        self.good(self.sync())
        self.assertFalse([line for line in self.details() if "Recommended action" in line])

    def test_sync_takes_as_long_as_the_clock_says(self) -> None:
        self.pair.group.polls, self.pair.group.seconds = 0, 30
        self.good(self.profile("p"))
        self.good(self.sync())
        self.assertEqual(self.status(), "Changes Pending")
        self.clock.advance(31)
        self.assertEqual(self.status(), "In Sync")

    def test_standby_takes_writes_and_both_then_see_a_conflict(self) -> None:
        self.good(self.profile("p"))
        self.good(self.ask("POST", CLIENT_SSL, {"name": "q"}, unit="b"))
        self.assertEqual((self.status("a"), self.sync_entries("b")["color"]["description"]), ("Changes Pending", "red"))
        self.assertIn("failover_group (Changes Pending): There is a possible change conflict between bigip-1a.example.com and "
                      "bigip-1b.example.com.", self.details())
        self.good(self.sync("a"))
        self.assertEqual([self.status(), self.status()], ["Changes Pending", "In Sync"])
        self.assertEqual((self.exists("p", "b"), self.exists("q", "b")), (True, False))  # the other's work is lost

    def test_conflict_may_stay_until_the_push_is_forced(self) -> None:
        self.pair.options.change("conflict_sync", "pending")
        self.good(self.profile("p"))
        self.good(self.ask("POST", CLIENT_SSL, {"name": "q"}, unit="b"))
        self.good(self.sync("a"))
        self.assertEqual([self.status() for _ in range(3)], ["Changes Pending"] * 3)
        self.good(self.sync("a", "to-group /Common/failover_group force-full-load-push"))
        self.assertEqual([self.status(), self.status()], ["Changes Pending", "In Sync"])

    def test_unit_without_changes_does_not_overwrite_the_one_with(self) -> None:
        self.good(self.profile("p"))
        self.good(self.sync("b"))
        self.assertEqual([self.status() for _ in range(2)], ["Changes Pending"] * 2)
        self.assertTrue(self.exists("p", "a"))
        self.good(self.sync("b", "from-group failover_group"))
        self.status(), self.status()
        self.assertTrue(self.exists("p", "b"))

    def test_change_after_the_command_is_pending_again(self) -> None:
        self.good(self.profile("p"))
        self.good(self.sync())
        self.good(self.profile("late"))
        self.status(), self.status()
        self.assertEqual(self.status(), "Changes Pending")
        self.assertEqual((self.exists("p", "b"), self.exists("late", "b")), (True, False))

    def test_ignored_sync_says_200_and_does_nothing(self) -> None:
        self.steer("POST", "/sync", {"ignore": 1})
        self.good(self.profile("p"))
        self.good(self.sync())
        self.assertEqual([self.status() for _ in range(3)], ["Changes Pending"] * 3)
        self.good(self.sync())
        self.status()
        self.assertEqual(self.status(), "In Sync")

    def test_status_can_be_forced(self) -> None:
        self.steer("POST", "/sync", {"status": {"a": "Disconnected"}})
        self.assertEqual((self.status("a"), self.status("b")), ("Disconnected", "In Sync"))
        self.assertIn("bigip-1b.example.com: disconnected", self.details())
        self.steer("POST", "/sync", {"status": {"a": None}})
        self.assertEqual(self.status("a"), "In Sync")

    def test_first_sync_ends_the_wait_for_it(self) -> None:
        self.steer("POST", "/sync", {"status": {"a": "Awaiting Initial Sync", "b": "Awaiting Initial Sync"}})
        self.assertEqual((self.status(), self.sync_entries()["color"]["description"]), ("Awaiting Initial Sync", "blue"))
        self.good(self.sync())
        self.assertEqual([self.status(), self.status()], ["Awaiting Initial Sync", "In Sync"])

    def test_disconnected_units_do_not_sync(self) -> None:
        self.steer("POST", "/sync", {"status": {"b": "Disconnected"}})
        self.good(self.profile("p"))
        self.good(self.sync())
        self.status(), self.status()
        self.assertFalse(self.exists("p", "b"))

    def test_another_group_is_mixed_in_but_has_a_line_of_its_own(self) -> None:
        self.steer("POST", "/sync", {"otherGroup": "Changes Pending"})
        self.assertEqual(self.status(), "Changes Pending")
        self.assertEqual([line.split(":")[0] for line in self.details()[1:]],
                         ["failover_group (In Sync)", "datasync-global-dg (Changes Pending)"])

    def test_automatic_sync_needs_no_command(self) -> None:
        self.steer("POST", "/sync", {"autoSync": True, "saveOnAutoSync": True})
        self.good(self.profile("p"))
        self.assertEqual([self.status(), self.status()], ["Changes Pending", "In Sync"])
        self.assertTrue(self.exists("p", "b"))
        self.assertFalse(self.b.unsaved)

    def test_manual_sync_saves_on_the_peer_only_if_the_option_says_so(self) -> None:
        for saves in (False, True):
            self.pair.options.change("sync_saves_peer", saves)
            self.good(self.profile(f"p{saves}"))
            self.good(self.sync())
            self.status(), self.status()
            self.assertEqual(self.b.unsaved, not saves)

    def test_unit_that_lost_what_it_got_is_behind_and_can_be_synced_again(self) -> None:
        self.good(self.profile("p"))
        self.good(self.sync())
        self.status(), self.status()
        self.b.restart()
        self.assertEqual((self.status(), self.exists("p", "b")), ("Changes Pending", False))
        self.good(self.sync())
        self.status(), self.status()
        self.assertTrue(self.exists("p", "b"))

    def test_sync_by_task(self) -> None:
        self.good(self.profile("p"))
        url = "/mgmt/tm/task/cm/config-sync"
        task = self.good(self.ask("POST", url, {"command": "run", "options": [{"to-group": "/Common/failover_group"}]}))
        self.ask("PUT", f"{url}/{task['_taskId']}", {"_taskState": "VALIDATING"})
        states = [self.good(self.ask("GET", f"{url}/{task['_taskId']}"))["_taskState"] for _ in range(2)]
        self.assertEqual(states, ["VALIDATING", "COMPLETED"])
        self.status(), self.status()
        self.assertTrue(self.exists("p", "b"))

    def test_wrong_commands_are_refused(self) -> None:
        self.refused(self.sync(words="to-group failover_group now"), 400, '"config-sync" unexpected argument')
        self.assertEqual(self.sync(words="to-group other").status, 400)


class Failover(Scene):
    def state(self, unit: str) -> str:
        (entry,) = self.good(self.ask("GET", "/mgmt/tm/cm/failover-status", unit=unit))["entries"].values()
        return str(entry["nestedStats"]["entries"]["status"]["description"])

    def test_roles_change_places(self) -> None:
        self.assertEqual((self.state("a"), self.state("b")), ("ACTIVE", "STANDBY"))
        self.steer("POST", "/failover", {"unit": "b"})
        self.assertEqual((self.state("a"), self.state("b")), ("STANDBY", "ACTIVE"))
        self.steer("POST", "/failover", {"unit": "b", "state": "offline"})
        self.assertEqual((self.state("a"), self.state("b")), ("ACTIVE", "OFFLINE"))

    def test_devices_say_who_is_asked_and_who_is_active(self) -> None:
        shown = self.good(self.ask("GET", "/mgmt/tm/cm/device", unit="b"))["items"]
        self.assertEqual([(d["failoverState"], d["selfDevice"], d["version"]) for d in shown],
                         [("active", "false", "15.1.2"), ("standby", "true", "15.1.2")])

    def test_group_that_matters_stands_among_others(self) -> None:
        shown = self.good(self.ask("GET", "/mgmt/tm/cm/device-group"))["items"]
        self.assertEqual([(g["name"], g["type"]) for g in shown], [
            ("device_trust_group", "sync-only"), ("failover_group", "sync-failover"), ("gtm", "sync-only")])
        self.assertEqual(len(self.good(self.ask("GET", "/mgmt/tm/cm/device-group/~Common~failover_group/devices"))["items"]), 2)

    def test_restart_of_the_active_unit_hands_over(self) -> None:
        self.a.restart()
        self.assertEqual((self.state("a"), self.state("b")), ("STANDBY", "ACTIVE"))


class Standalone(Scene):
    units = 1

    def test_one_unit_is_active_and_in_no_group(self) -> None:
        self.assertEqual(self.status(), "Standalone")
        self.assertEqual(self.sync_entries()["mode"]["description"], "standalone")
        self.assertEqual(self.details(), ["Optional action: Add a device to the trust domain"])
        self.good(self.profile("p"))
        self.assertEqual(self.status(), "Standalone")
        groups = self.good(self.ask("GET", "/mgmt/tm/cm/device-group"))["items"]
        self.assertNotIn("sync-failover", [group["type"] for group in groups])
