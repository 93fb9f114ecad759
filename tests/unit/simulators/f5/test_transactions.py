"""Transactions, saving, tasks."""
from scene import CERT, CLIENT_SSL, DOWNLOADS, KEY, TRANSACTION, VIRTUAL, Scene, pair_of

P = f"{CLIENT_SSL}/~Common~p"


class Transactions(Scene):
    def setUp(self) -> None:
        super().setUp()
        self.install("www", pair_of("www.example.com"))
        self.good(self.profile("p", "www"))
        self.new_key = self.upload("new.key", pair_of("www.example.com", number=1)[1])
        self.new_cert = self.upload("new.crt", pair_of("www.example.com", number=1)[0])
        self.ident = self.start_transaction()

    def revision(self) -> int:
        return int(self.good(self.ask("GET", f"{CERT}/~Common~www.crt"))["revision"])

    def test_start_and_queue_answer_as_the_samples_do(self) -> None:
        started = self.good(self.ask("GET", f"{TRANSACTION}/{self.ident}"))
        self.assertEqual((started["state"], started["timeoutSeconds"], len(self.ident)), ("STARTED", 120, 16))
        queued = self.good(self.queue(self.ident, "PATCH", f"{KEY}/~Common~www.key", {"sourcePath": self.new_key}))
        self.assertEqual(queued, {
            "method": "PATCH", "uri": f"https://localhost{KEY}/~Common~www.key", "body": {"sourcePath": self.new_key},
            "evalOrder": 1, "commandId": 1, "kind": "tm:transaction:commandsstate",
            "selfLink": f"https://localhost{TRANSACTION}/{self.ident}/commands/1?ver=15.1.2"})
        self.assertEqual(self.revision(), 1)

    def test_pair_changes_in_one_step_though_neither_half_could_alone(self) -> None:
        self.queue(self.ident, "PATCH", f"{KEY}/~Common~www.key", {"sourcePath": self.new_key})
        self.queue(self.ident, "PATCH", f"{CERT}/~Common~www.crt", {"sourcePath": self.new_cert})
        self.assertEqual(self.good(self.commit(self.ident))["state"], "COMPLETED")
        self.assertEqual(self.revision(), 2)

    def test_failed_commit_applies_nothing_and_wraps_the_message(self) -> None:
        self.queue(self.ident, "POST", CLIENT_SSL, {"name": "other"})
        self.queue(self.ident, "PATCH", f"{KEY}/~Common~www.key", {"sourcePath": self.new_key})
        answer = self.commit(self.ident)
        self.refused(answer, 400, "transaction failed:01070317:3: profile /Common/p's key")
        self.assertEqual(answer.json["apiError"], 2)
        self.assertEqual(self.ask("GET", f"{CLIENT_SSL}/~Common~other").status, 404)
        self.assertEqual(self.good(self.ask("GET", f"{TRANSACTION}/{self.ident}"))["state"], "FAILED")

    def test_failed_transaction_may_be_gone(self) -> None:
        self.pair.options.change("failed_transaction", "remove")
        self.queue(self.ident, "DELETE", f"{CERT}/~Common~no.crt")
        self.refused(self.commit(self.ident), 400, "transaction failed:01020036:3:")
        self.assertEqual(self.ask("GET", f"{TRANSACTION}/{self.ident}").status, 404)

    def test_validate_only_tells_but_does_not_do(self) -> None:
        self.queue(self.ident, "POST", CLIENT_SSL, {"name": "other"})
        self.assertEqual(self.good(self.commit(self.ident, validateOnly=True))["state"], "COMPLETED")
        self.assertEqual(self.ask("GET", f"{CLIENT_SSL}/~Common~other").status, 404)
        self.good(self.commit(self.ident))
        self.good(self.ask("GET", f"{CLIENT_SSL}/~Common~other"))

    def test_files_are_read_at_the_commit(self) -> None:
        self.queue(self.ident, "POST", CERT, {"name": "n.crt", "sourcePath": f"file:{DOWNLOADS}/late"})
        self.upload("late", pair_of("late.example.com")[0])
        self.good(self.commit(self.ident))
        self.assertEqual(self.good(self.ask("GET", f"{CERT}/~Common~n.crt"))["subject"], "CN=late.example.com")

    def test_later_commands_see_what_earlier_ones_made(self) -> None:
        self.queue(self.ident, "POST", CLIENT_SSL, {"name": "q"})
        self.queue(self.ident, "POST", VIRTUAL, {"name": "vs", "destination": "10.0.0.1:443", "profiles": ["/Common/q"]})
        self.queue(self.ident, "POST", f"{VIRTUAL}/~Common~vs/profiles", {"name": "/Common/http"})
        self.good(self.commit(self.ident))
        self.assertEqual(len(self.good(self.ask("GET", f"{VIRTUAL}/~Common~vs/profiles"))["items"]), 2)

    def test_deleting_what_is_let_go_in_the_same_transaction_works_in_any_order(self) -> None:
        self.queue(self.ident, "DELETE", f"{CERT}/~Common~www.crt")
        self.queue(self.ident, "DELETE", f"{KEY}/~Common~www.key")
        self.queue(self.ident, "PATCH", P, {"inheritCertkeychain": "true"})
        self.good(self.commit(self.ident))
        self.assertEqual(self.ask("GET", f"{CERT}/~Common~www.crt").status, 404)

    def test_get_with_the_header_runs_at_once(self) -> None:
        self.queue(self.ident, "PATCH", P, {"description": "queued"})
        self.assertEqual(self.good(self.queue(self.ident, "GET", P))["description"], "none")

    def test_header_on_the_commit_is_refused(self) -> None:
        self.queue(self.ident, "PATCH", P, {"description": "x"})
        self.refused(self.queue(self.ident, "PATCH", f"{TRANSACTION}/{self.ident}", {"state": "VALIDATING"}), 400,
                     f"Transaction {self.ident} operation .... is not allowed to be added to transaction.")

    def test_empty_commit_and_missing_id(self) -> None:
        answer = self.commit(self.ident)
        self.assertEqual(answer.json, {"code": 404, "message": "there is no command to commit in the transaction.",
                                       "errorStack": [], "apiError": 1})
        self.refused(self.ask("PATCH", TRANSACTION, {"state": "VALIDATING"}), 404, "Missing transaction ID for this call.")

    def test_idle_transaction_is_gone_after_two_minutes(self) -> None:
        self.clock.advance(100)
        self.queue(self.ident, "PATCH", P, {"description": "x"})  # not idle any more
        self.clock.advance(100)
        self.good(self.ask("GET", f"{TRANSACTION}/{self.ident}"))
        self.clock.advance(121)
        self.assertEqual(self.commit(self.ident).status, 404)
        self.assertEqual(self.good(self.ask("GET", P))["description"], "none")

    def test_commands_are_listed_reordered_and_dropped(self) -> None:
        for text in ("first", "second", "third"):
            self.queue(self.ident, "PATCH", P, {"description": text})
        url = f"{TRANSACTION}/{self.ident}/commands"
        self.good(self.ask("PATCH", f"{url}/3", {"evalOrder": 1}))
        self.good(self.ask("DELETE", f"{url}/2"))
        listed = self.good(self.ask("GET", url))["items"]
        self.assertEqual([item["commandId"] for item in listed], [3, 1])
        self.good(self.commit(self.ident))
        self.assertEqual(self.good(self.ask("GET", P))["description"], "first")

    def test_sys_crypto_is_queued_only_if_the_option_allows_it(self) -> None:
        body = {"command": "install", "name": "x.key", "from-local-file": self.new_key.removeprefix("file:")}
        self.refused(self.queue(self.ident, "POST", "/mgmt/tm/sys/crypto/key", body), 400, "simulator, strict")
        self.pair.options.change("crypto_in_transaction", True)
        self.good(self.queue(self.ident, "POST", "/mgmt/tm/sys/crypto/key", body))
        self.good(self.commit(self.ident))
        self.good(self.ask("GET", f"{KEY}/~Common~x.key"))

    def test_saving_and_syncing_are_never_queued(self) -> None:
        self.assertEqual(self.queue(self.ident, "POST", "/mgmt/tm/sys/config", {"command": "save"}).status, 400)
        self.assertEqual(self.queue(self.ident, "POST", "/mgmt/tm/cm", {"command": "run"}).status, 400)

    def test_rights_are_checked_when_something_is_queued(self) -> None:
        answer = self.ask("PATCH", f"{VIRTUAL}/~Common~vs", {}, user="cert", headers={"x-f5-rest-coordination-id": self.ident})
        self.assertEqual(answer.status, 401)


class Saving(Scene):
    def test_restart_loses_what_was_not_saved(self) -> None:
        self.good(self.profile("kept"))
        self.assertEqual(self.good(self.ask("POST", "/mgmt/tm/sys/config", {"command": "save"})),
                         {"kind": "tm:sys:config:savestate", "command": "save"})
        self.good(self.profile("lost"))
        self.assertTrue(self.a.unsaved)
        token = self.good(self.log_in())["token"]["token"]
        self.a.restart()
        self.good(self.ask("GET", f"{CLIENT_SSL}/~Common~kept"))
        self.assertEqual(self.ask("GET", f"{CLIENT_SSL}/~Common~lost").status, 404)
        self.assertEqual(self.ask("GET", "/mgmt/tm/sys", token=token).status, 401)

    def test_asynchronous_save_runs_until_it_is_completed(self) -> None:
        self.good(self.profile("kept"))
        task = self.good(self.ask("POST", "/mgmt/tm/task/sys/config", {"command": "save"}))
        self.assertEqual(task["_taskState"], "STARTED")
        url = f"/mgmt/tm/task/sys/config/{task['_taskId']}"
        begun = self.ask("PUT", url, {"_taskState": "VALIDATING"})
        self.assertEqual((begun.status, begun.message), (202, "Task will execute asynchronously"))
        self.assertTrue(self.a.unsaved)
        self.assertEqual([self.good(self.ask("GET", url))["_taskState"] for _ in range(2)], ["VALIDATING", "COMPLETED"])
        self.assertFalse(self.a.unsaved)
        self.refused(self.ask("GET", "/mgmt/tm/task/sys/config/1"), 404, "Task not found")

    def test_running_task_keeps_other_writes_out_if_the_option_says_so(self) -> None:
        self.pair.options.change("task_blocks_writes", True)
        task = self.good(self.ask("POST", "/mgmt/tm/task/sys/config", {"command": "save"}))
        self.ask("PUT", f"/mgmt/tm/task/sys/config/{task['_taskId']}", {"_taskState": "VALIDATING"})
        answer = self.profile("p")
        self.refused(answer, 503, "There is an active asynchronous task executing.")
        self.assertEqual(answer.json["apiError"], 32964609)


class SystemState(Scene):
    def test_version_and_readiness(self) -> None:
        shown = self.good(self.ask("GET", "/mgmt/tm/sys/version"))
        (entry,) = shown["entries"].values()
        self.assertEqual(entry["nestedStats"]["entries"]["Version"]["description"], "15.1.2")
        self.assertTrue(self.good(self.ask("GET", "/mgmt/tm/sys"))["selfLink"].endswith("?ver=15.1.2"))
        for path in ("tm/sys", "tm/cm", "shared/echo"):
            self.assertEqual(self.good(self.ask("GET", f"/mgmt/{path}/available")), {})
        (state,) = self.good(self.ask("GET", "/mgmt/tm/sys/mcp-state"))["entries"].values()
        self.assertEqual(state["nestedStats"]["entries"]["phase"]["description"], "running")
        (ready,) = self.good(self.ask("GET", "/mgmt/tm/sys/ready"))["entries"].values()
        self.assertEqual({value["description"] for value in ready["nestedStats"]["entries"].values()}, {"yes"})

    def test_unknown_address_is_not_registered(self) -> None:
        answer = self.ask("GET", "/mgmt/tm/ltm/nothing")
        self.refused(answer, 404, "URI path /mgmt/tm/ltm/nothing not registered.  Please verify URI is supported")
        self.assertEqual(answer.json["kind"], ":resterrorresponse")


class SystemStateOf12(Scene):
    version = "12.1"

    def test_has_neither_ready_nor_bulk_uploads(self) -> None:
        self.refused(self.ask("GET", "/mgmt/tm/sys/ready"), 404, "URI path /mgmt/tm/sys/ready not registered.")
        self.refused(self.ask("POST", "/mgmt/shared/file-transfer/bulk/uploads/x", b"a"), 404, "URI path")
