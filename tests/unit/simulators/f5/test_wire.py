"""What can only be seen on real sockets: faults, the data plane, the scripts' side, many pairs in one process."""
import http.client
import json
import socket
import ssl
import time
import unittest

from f5 import faults, options
from f5.clock import Clock
from f5.control import Control
from played import ROOT, SECONDS, Played
from scene import pair_of

PROFILE = "/mgmt/tm/ltm/profile/client-ssl/~Common~www_clientssl"
SYSTEM = "/mgmt/tm/sys"


class Faults(Played):
    def play(self, fault: str, **more: object) -> None:
        self.steer("POST", "/faults", {"fault": fault} | more)

    def description(self) -> str:
        client = self.connect("a")
        self.connection = client
        return str(self.good(self.ask("GET", PROFILE))["description"])

    def test_without_faults_a_connection_carries_many_requests(self) -> None:
        for _ in range(3):
            self.good(self.ask("GET", SYSTEM))
        self.assertIsNotNone(self.connection.sock)

    def test_answers_that_the_unit_did_not_give(self) -> None:
        expected = {
            "busy": (503, b'"apiError":32964609'), "restarting": (503, b"<html>"), "not-registered": (404, b"Public URI path"),
            "mcpd-lost": (500, b'"apiError":32768001'), "icrd-down": (400, b"java.net.ConnectException"),
            "html": (502, b"<html>"), "no-token": (401, b"no user authentication header"),
            "role-denied": (401, b"Authorization failed: user="), "status": (507, b"played by the simulator")}
        for fault, (status, part) in expected.items():
            with self.subTest(fault):
                self.play(fault, path="/sys$", **({"status": 507} if fault == "status" else {}))
                code, body = self.ask("GET", SYSTEM)
                self.assertEqual(code, status)
                self.assertIn(part, body)
                self.good(self.ask("GET", SYSTEM))  # once only

    def test_answers_that_hide_that_it_was_done(self) -> None:
        for fault, status in (("timeout-applied", 400), ("gateway-timeout", 504), ("async-timeout", 500)):
            with self.subTest(fault):
                self.play(fault, method="PATCH")
                code, _ = self.ask("PATCH", PROFILE, {"description": fault})
                self.assertEqual((code, self.description()), (status, fault))

    def test_connection_dropped_before_and_after_the_effect(self) -> None:
        for fault, done in (("drop-before", False), ("drop-after", True)):
            with self.subTest(fault):
                self.play(fault, method="PATCH")
                with self.assertRaises((ConnectionError, http.client.HTTPException, ssl.SSLError)):
                    self.ask("PATCH", PROFILE, {"description": fault})
                self.assertEqual(self.description() == fault, done)

    def test_answer_cut_at_any_byte(self) -> None:
        for size in (0, 1, 5, 60, 200):
            with self.subTest(size):
                self.play("cut", path="/sys$", bytes=size)
                with self.assertRaises((ConnectionError, http.client.HTTPException, ssl.SSLError)):
                    self.ask("GET", SYSTEM)
                self.connection = self.connect("a")

    def test_truncated_json_is_framed_correctly(self) -> None:
        self.play("truncated", path="/sys$")
        code, body = self.ask("GET", SYSTEM)
        self.assertEqual(code, 200)
        self.assertRaises(ValueError, json.loads, body)
        self.good(self.ask("GET", SYSTEM))

    def test_slow_answer_is_complete(self) -> None:
        self.play("slow", path="/sys$", bytes=7, seconds=0.0001)
        self.good(self.ask("GET", SYSTEM))

    def test_hanging_request_ends_with_its_client_and_has_no_effect(self) -> None:
        self.play("hang", method="PATCH")
        self.good(self.ask("GET", SYSTEM))
        self.connection.sock.settimeout(0.2)
        self.assertRaises(TimeoutError, self.ask, "PATCH", PROFILE, {"description": "hang"})
        self.connection.close()
        self.assertNotEqual(self.description(), "hang")

    def test_latency_delays_and_then_does_it(self) -> None:
        self.play("latency", method="PATCH", seconds=0.2)
        begin = time.monotonic()
        self.good(self.ask("PATCH", PROFILE, {"description": "late"}))
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)

    def test_expired_token_stays_expired(self) -> None:
        login = {"username": self.words["user"], "password": self.words["password"], "loginProviderName": "tmos"}
        token = self.good(self.ask("POST", "/mgmt/shared/authn/login", login))["token"]["token"]
        self.play("token-expired", path="/sys$")
        self.connection = self.connect("a")
        for _ in range(2):
            self.connection.request("GET", SYSTEM, headers={"X-F5-Auth-Token": token})
            answer = self.connection.getresponse()
            self.assertEqual(answer.status, 401)
            self.assertIn(b"X-F5-Auth-Token has expired.", answer.read())

    def test_failed_upload_may_echo_what_was_posted(self) -> None:
        self.play("upload-echo", path="/uploads/")
        code, body = self.ask("POST", "/mgmt/shared/file-transfer/uploads/x", b"secret bytes", {
            "Content-Type": "application/octet-stream", "Content-Range": "0-11/12"})
        self.assertEqual(code, 400)
        self.assertIn(b"secret bytes", body)

    def test_rules_skip_count_and_choose_the_unit(self) -> None:
        self.play("mcpd-lost", path="/sys$", unit="a", skip=1, count=2)
        self.assertEqual([self.ask("GET", SYSTEM)[0] for _ in range(4)], [200, 500, 500, 200])
        self.assertEqual(self.ask("GET", SYSTEM, unit="b")[0], 200)
        self.assertEqual(self.steer("GET", "/faults")[0]["played"], 2)

    def test_failover_at_a_chosen_request(self) -> None:
        self.play("failover", method="PATCH", path="client-ssl")
        self.good(self.ask("PATCH", PROFILE, {"description": "x"}))
        states = {name: unit["state"] for name, unit in self.steer("GET", "/state")["units"].items()}
        self.assertEqual(states, {"a": "standby", "b": "active"})
        self.steer("POST", "/failover", {"unit": "a"})

    def test_restart_at_a_chosen_request_loses_what_was_not_saved(self) -> None:
        self.good(self.ask("POST", "/mgmt/tm/sys/config", {"command": "save"}))
        self.good(self.ask("PATCH", PROFILE, {"description": "unsaved"}))
        self.play("restart", path="/sys$")
        self.good(self.ask("GET", SYSTEM))
        self.assertNotEqual(self.description(), "unsaved")
        self.steer("POST", "/failover", {"unit": "a"})

    def test_restarting_unit_says_so_for_some_requests(self) -> None:
        self.steer("POST", "/restart", {"unit": "a", "requests": 2})
        self.assertEqual([self.ask("GET", SYSTEM)[0] for _ in range(3)], [503, 503, 200])
        self.steer("POST", "/failover", {"unit": "a"})

    def test_wrong_rules_are_refused_with_the_reason(self) -> None:
        client = http.client.HTTPConnection(self.words["control"], timeout=SECONDS)
        for body, part in (({"fault": "nonsense"}, b"nonsense"), ({"fault": "cut", "byte": 1}, b"byte"),
                           ({"fault": "cut", "bytes": "1"}, b"bytes"), ({"fault": "cut", "path": "("}, b"path")):
            client.request("POST", "/faults", json.dumps(body))
            answer = client.getresponse()
            self.assertIn(part, answer.read())
            self.assertEqual(answer.status, 400)
        client.close()


class RequestLog(Played):
    def test_tells_what_was_asked_without_its_secrets(self) -> None:
        login = {"username": self.words["user"], "password": self.words["password"], "loginProviderName": "tmos"}
        token = self.good(self.ask("POST", "/mgmt/shared/authn/login", login))["token"]["token"]
        self.good(self.ask("PATCH", f"/mgmt/shared/authz/tokens/{token}", {"timeout": 2400}))
        self.ask("POST", "/mgmt/shared/file-transfer/uploads/x", b"private key", {
            "Content-Type": "application/octet-stream", "Content-Range": "0-10/11"})
        self.ask("PATCH", PROFILE, {"certKeyChain": [{"name": "x", "passphrase": "open sesame"}]})
        log = self.steer("GET", "/requests?unit=a")
        self.assertEqual([(line["method"], line["status"]) for line in log],
                         [("POST", 200), ("PATCH", 200), ("POST", 200), ("PATCH", 400)])
        self.assertEqual(log[0]["body"]["username"], self.words["user"])
        self.assertEqual((log[2]["bodyBytes"], log[2]["body"]), (11, None))
        for secret in (self.words["password"], token, "private key", "sesame"):
            self.assertNotIn(secret, json.dumps(log))
        self.assertEqual(self.steer("GET", f"/requests?since={log[2]['number']}"), log[3:])


class Uploads(Played):
    def test_chunks_of_a_mebibyte_arrive_whole(self) -> None:
        data = bytes(range(256)) * 4096
        for at in (0, 1):
            code, body = self.ask("POST", "/mgmt/shared/file-transfer/uploads/big", data, {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{at * len(data)}-{(at + 1) * len(data) - 1}/{2 * len(data)}"})
            self.assertEqual(code, 200, body)
        self.assertEqual(json.loads(body)["remainingByteCount"], 0)
        self.assertEqual(self.steer("GET", "/state")["units"]["a"]["uploads"], ["/var/config/rest/downloads/big"])

    def test_body_in_pieces_is_put_together(self) -> None:
        pieces = iter([b'{"descrip', b'tion": "pieces"}'])
        self.connection.request("PATCH", PROFILE, pieces, self.headers() | {"Transfer-Encoding": "chunked"},
                                encode_chunked=True)
        answer = self.connection.getresponse()
        self.assertEqual(json.loads(answer.read())["description"], "pieces")


class Readme(unittest.TestCase):
    def test_names_every_option_and_fault_and_request(self) -> None:
        text = (ROOT / "tests/simulators/f5/README.md").read_text()
        for name in [*options.Options().as_json(), *faults.BEFORE, *faults.AFTER]:
            self.assertTrue(f"`{name}`" in text, f"README.md lacks {name}")
        for method, path in Control([], Clock(), dict).handlers:
            self.assertTrue(f"`{method} {path}" in text, f"README.md lacks {method} {path}")


class DataPlane(Played):
    arguments = ("--empty",)

    def plant(self, *objects: dict[str, object], **more: object) -> dict[str, str]:
        found: dict[str, str] = self.steer("POST", "/objects", {"objects": objects} | more)["virtualServers"]
        return found

    def files(self, name: str, algorithm: str = "rsa", number: int = 0) -> list[dict[str, object]]:
        certificate, key = pair_of(f"{name}.example.com", algorithm, number)
        return [{"kind": "ssl-cert", "name": f"{name}.crt", "content": certificate},
                {"kind": "ssl-key", "name": f"{name}.key", "content": key}]

    def profile(self, name: str, *pairs: str, **more: object) -> dict[str, object]:
        return {"kind": "client-ssl", "name": name, "certKeyChain": [
            {"name": pair, "cert": f"/Common/{pair}.crt", "key": f"/Common/{pair}.key"} for pair in pairs]} | more

    def virtual(self, name: str, destination: str, *profiles: str) -> dict[str, object]:
        return {"kind": "virtual", "name": name, "destination": destination, "profiles": list(profiles)}

    def test_serves_by_name_and_changes_with_the_commit(self) -> None:
        where = self.plant(*self.files("one"), *self.files("two"), *self.files("three"),
                           self.profile("p1", "one", serverName="one.example.com", sniDefault="true"),
                           self.profile("p2", "two", serverName="*.two.example.com"),
                           self.virtual("by_name", "10.0.1.1:443", "p2", "p1"))["/Common/by_name"]
        for asked, name in (("one.example.com", "one"), ("www.two.example.com", "two"), (None, "one"), ("else", "one"),
                            ("a.b.two.example.com", "one")):
            self.assertEqual(self.served(where, asked), f"{name}.example.com", asked)
        url = "/mgmt/tm/ltm/profile/client-ssl/~Common~p1"
        chain = [{"name": "x", "cert": "/Common/three.crt", "key": "/Common/three.key"}]
        ident = str(self.good(self.ask("POST", "/mgmt/tm/transaction", {}))["transId"])
        self.good(self.ask("PATCH", url, {"certKeyChain": chain}, {"X-F5-REST-Coordination-Id": ident}))
        self.assertEqual(self.served(where, None), "one.example.com")
        self.good(self.ask("PATCH", f"/mgmt/tm/transaction/{ident}", {"state": "VALIDATING"}))
        self.assertEqual(self.served(where, None), "three.example.com")

    def test_serves_what_the_active_unit_has(self) -> None:
        where = self.plant(*self.files("old"), *self.files("new"), self.profile("ha", "old"),
                           self.virtual("ha", "10.0.2.1:443", "ha"))["/Common/ha"]
        self.plant(self.profile("ha", "new"), unit="b")
        self.assertEqual(self.served(where, None), "old.example.com")
        self.steer("POST", "/failover", {"unit": "b"})
        self.assertEqual(self.served(where, None), "new.example.com")
        self.steer("POST", "/failover", {"unit": "a"})
        self.assertEqual(self.served(where, None), "old.example.com")

    def test_serves_both_algorithms_and_the_chain(self) -> None:
        where = self.plant(*self.files("rsa"), *self.files("ec", "ec"),
                           {"kind": "ssl-cert", "name": "chain.crt", "content": pair_of("issuer.example.com")[0]},
                           self.profile("both", "rsa", "ec"), self.virtual("both", "10.0.3.1:443", "both"))["/Common/both"]
        host, port = where.split(":")
        for ciphers, name in (("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ec")):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
            with socket.create_connection((host, int(port)), SECONDS) as plain, context.wrap_socket(plain) as tls:
                self.assertIn(f"{name}.example.com".encode(), tls.getpeercert(binary_form=True) or b"")

    def test_no_virtual_server_no_answer(self) -> None:
        where = self.plant(*self.files("x"), self.profile("x", "x"), self.virtual("x", "10.0.4.1:443", "x"))["/Common/x"]
        url = "/mgmt/tm/ltm/virtual/~Common~x"
        self.assertEqual(self.served(where, None), "x.example.com")
        self.good(self.ask("PATCH", url, {"disabled": True}))
        self.assertRaises(OSError, self.served, where, None)
        self.good(self.ask("PATCH", url, {"enabled": True}))
        self.assertEqual(self.served(where, None), "x.example.com")
        self.good(self.ask("DELETE", url))
        self.assertRaises(OSError, self.served, where, None)
        again = self.plant(self.virtual("x", "10.0.4.1:443", "x"))["/Common/x"]
        self.assertEqual((again, self.served(where, None)), (where, "x.example.com"))

    def test_without_an_ssl_profile_it_is_plain_http(self) -> None:
        where = self.plant(self.virtual("plain", "10.0.5.1:80", "http"))["/Common/plain"]
        client = http.client.HTTPConnection(where, timeout=SECONDS)
        client.request("GET", "/")
        self.assertEqual(client.getresponse().read(), b"/Common/plain on bigip-1a.example.com\n")
        client.close()

    def test_loopback_destination_is_listened_on_as_it_is(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        where = self.plant(*self.files("l"), self.profile("l", "l"),
                           self.virtual("l", f"127.0.0.9:{port}", "l"))["/Common/l"]
        self.assertEqual((where, self.served(where, None)), (f"127.0.0.9:{port}", "l.example.com"))


class ManyPairs(Played):
    arguments = ("--pairs", "20", "--version", "17.1")

    def test_are_all_there_and_keep_to_themselves(self) -> None:
        self.assertEqual(len(self.inventory["pairs"]), 20)
        addresses = {address for pair in self.inventory["pairs"] for address in
                     [*pair["units"].values(), *pair["virtualServers"].values()]}
        self.assertEqual(len(addresses), 60)
        self.good(self.ask("PATCH", PROFILE, {"description": "mine"}, unit="a7"))
        for unit, text in (("a7", "mine"), ("a8", "none"), ("b7", "none")):
            shown = self.good(self.ask("GET", PROFILE, unit=unit))
            self.assertEqual(shown["description"], text)
            self.assertTrue(shown["selfLink"].endswith("?ver=17.1.1"))
        self.assertEqual(self.served(self.words["vs_www20"], "www.example.com"), "www.example.com")
        self.assertEqual(self.steer("GET", "/state?pair=7")["units"]["a"]["syncStatus"], "Changes Pending")


class Options(Played):
    def test_are_read_and_changed_by_name(self) -> None:
        self.assertEqual(self.steer("POST", "/options", {"sync_saves_peer": True})["sync_saves_peer"], True)
        client = http.client.HTTPConnection(self.words["control"], timeout=SECONDS)
        for body, part in (({"no_such": 1}, b"no_such is unknown"), ({"token_limit": "1"}, b"token_limit is int"),
                           ({"token_purge": "some"}, b"token_purge is one of own, all")):
            client.request("POST", "/options", json.dumps(body))
            answer = client.getresponse()
            self.assertIn(part, answer.read())
            self.assertEqual(answer.status, 400)
        client.close()

    def test_clock_is_moved_by_script(self) -> None:
        login = {"username": self.words["user"], "password": self.words["password"], "loginProviderName": "tmos"}
        token = self.good(self.ask("POST", "/mgmt/shared/authn/login", login))["token"]["token"]
        self.steer("POST", "/clock", {"advance": 1201})
        self.connection.request("GET", SYSTEM, headers={"X-F5-Auth-Token": token})
        self.assertEqual(self.connection.getresponse().status, 401)
