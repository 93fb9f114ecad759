"""client-ssl, server-ssl and virtual servers."""
from scene import CLIENT_SSL, SERVER_SSL, VIRTUAL, Answer, Scene, encrypted_pair, pair_of

P = f"{CLIENT_SSL}/~Common~p"


class ClientSsl(Scene):
    def setUp(self) -> None:
        super().setUp()
        for name, algorithm in (("one", "rsa"), ("two", "rsa"), ("ec", "ec")):
            self.install(name, pair_of(f"{name}.example.com", algorithm))

    def test_fresh_child_inherits_the_default_pair(self) -> None:
        shown = self.good(self.profile("p"))
        self.assertEqual(shown["kind"], "tm:ltm:profile:client-ssl:client-sslstate")
        self.assertEqual(shown["defaultsFrom"], "/Common/clientssl")
        self.assertEqual(shown["inheritCertkeychain"], "true")
        self.assertEqual([item["name"] for item in shown["certKeyChain"]], ["default"])
        self.assertEqual((shown["cert"], shown["key"], shown["chain"]), ("/Common/default.crt", "/Common/default.key", "none"))
        self.assertTrue(shown["certReference"]["link"].startswith("https://localhost/mgmt/tm/sys/file/ssl-cert/~Common~"))

    def test_own_chain_replaces_the_whole_array_and_mirrors_the_rsa_pair(self) -> None:
        self.good(self.profile("p", "one", "ec"))
        shown = self.good(self.ask("PATCH", P, {"certKeyChain": self.chain("ec", "two")}))
        self.assertEqual([item["cert"] for item in shown["certKeyChain"]], ["/Common/ec.crt", "/Common/two.crt"])
        self.assertEqual((shown["cert"], shown["inheritCertkeychain"]), ("/Common/two.crt", "false"))

    def test_child_follows_its_parent_until_it_has_its_own(self) -> None:
        self.good(self.profile("p", "one"))
        self.good(self.ask("POST", CLIENT_SSL, {"name": "child", "defaultsFrom": "/Common/p", "serverName": "x"}))
        self.good(self.ask("PATCH", P, {"certKeyChain": self.chain("two"), "sniDefault": "true"}))
        shown = self.good(self.ask("GET", f"{CLIENT_SSL}/~Common~child"))
        self.assertEqual((shown["cert"], shown["sniDefault"]), ("/Common/two.crt", "true"))
        self.good(self.ask("PATCH", f"{CLIENT_SSL}/~Common~child", {"certKeyChain": self.chain("one")}))
        self.assertEqual(self.good(self.ask("GET", f"{CLIENT_SSL}/~Common~child"))["cert"], "/Common/one.crt")
        self.good(self.ask("PATCH", f"{CLIENT_SSL}/~Common~child", {"inheritCertkeychain": "true"}))
        self.assertEqual(self.good(self.ask("GET", f"{CLIENT_SSL}/~Common~child"))["cert"], "/Common/two.crt")

    def test_put_returns_what_it_does_not_name_to_the_defaults(self) -> None:
        self.good(self.profile("p", "one", serverName="www.example.com", ciphers="HIGH"))
        shown = self.good(self.ask("PUT", P, {"serverName": "other.example.com"}))
        self.assertEqual((shown["serverName"], shown["ciphers"], shown["cert"]),
                         ("other.example.com", "DEFAULT", "/Common/default.crt"))

    def test_generation_grows_with_each_change(self) -> None:
        before = self.good(self.profile("p"))["generation"]
        self.assertGreater(self.good(self.ask("PATCH", P, {"description": "x"}))["generation"], before)

    def test_item_without_a_name_is_named_after_its_certificate(self) -> None:
        shown = self.good(self.ask("POST", CLIENT_SSL, {"name": "p", "certKeyChain": [
            {"cert": "/Common/one.crt", "key": "/Common/one.key"}]}))
        self.assertEqual(shown["certKeyChain"][0]["name"], "one_0")

    def test_pair_that_does_not_match_is_refused(self) -> None:
        wrong = [{"name": "x", "cert": "/Common/one.crt", "key": "/Common/two.key"}]
        self.good(self.profile("p", "one"))
        self.refused(self.ask("PATCH", P, {"certKeyChain": wrong}), 400,
                     "01070317:3: profile /Common/p's key and certificate do not match")
        self.assertEqual(self.good(self.ask("GET", P))["certKeyChain"][0]["key"], "/Common/one.key")

    def test_long_text_of_the_mismatch_is_an_option(self) -> None:
        self.pair.options.change("mismatch_names_pair", "yes")
        self.refused(self.ask("POST", CLIENT_SSL, {"name": "p", "certKeyChain": [
            {"name": "x", "cert": "/Common/one.crt", "key": "/Common/two.key"}]}), 400,
            "01070317:3: profile /Common/p's key(/Common/two.key) and certificate(/Common/one.crt) do not match.")

    def test_missing_files_are_told_key_before_certificate(self) -> None:
        self.refused(self.profile("p", "no"), 400, "01070277:3: The requested key (/Common/no.key) was not found.")
        self.refused(self.ask("POST", CLIENT_SSL, {"name": "p", "certKeyChain": [
            {"name": "x", "cert": "/Common/no.crt", "key": "/Common/one.key"}]}), 400,
            "0107134a:3: File object by name (no.crt) is missing.")
        self.refused(self.ask("POST", CLIENT_SSL, {"name": "p", "certKeyChain": self.chain("one", chain="/Common/no.crt")}),
                     400, "0107134a:3: File object by name (no.crt) is missing.")

    def test_two_pairs_of_one_algorithm_are_refused(self) -> None:
        self.assertEqual(self.profile("p", "one", "two").status, 400)

    def test_both_forms_at_once_are_refused(self) -> None:
        self.refused(self.profile("p", "one", cert="/Common/two.crt", key="/Common/two.key"), 400,
                     "01b4002a:3: Client SSL profile (/Common/p): cert-key-chain and profile cert/key/chain/passphrase")

    def test_direct_form_changes_the_rsa_pair_and_leaves_the_other(self) -> None:
        self.good(self.profile("p", "one", "ec"))
        shown = self.good(self.ask("PATCH", P, {"cert": "/Common/two.crt", "key": "/Common/two.key"}))
        self.assertEqual([item["cert"] for item in shown["certKeyChain"]], ["/Common/two.crt", "/Common/ec.crt"])

    def test_direct_form_is_for_rsa_only(self) -> None:
        self.refused(self.profile("p", cert="/Common/ec.crt", key="/Common/ec.key"), 400, "01b40029:3:")
        self.good(self.profile("p", "ec"))
        self.refused(self.ask("PATCH", P, {"cert": "/Common/one.crt", "key": "/Common/one.key"}), 400, "01b4002b:3:")

    def test_no_pair_and_empty_references(self) -> None:
        self.refused(self.profile("p", certKeyChain=[]), 400,
                     "010717e3:3: Client SSL profile must have RSA certificate/key pair.")
        self.refused(self.profile("p", certKeyChain=self.chain("one", chain="")), 400,
                     "one or more configuration identifiers must be provided")

    def test_names(self) -> None:
        self.good(self.profile("p"))
        self.refused(self.profile("p"), 409, "01020066:3: The requested ClientSSL Profile (/Common/p) already exists")
        self.refused(self.profile("tcp"), 400, "01070293:3: The profile name (/Common/tcp) is already assigned")
        self.refused(self.ask("GET", f"{CLIENT_SSL}/~Common~no"), 404,
                     "01020036:3: The requested ClientSSL Profile (/Common/no) was not found.")

    def test_passphrase_opens_the_key_and_reads_back_as_something_else(self) -> None:
        self.install("locked", encrypted_pair("locked.example.com", "open sesame"))
        self.refused(self.profile("p", "locked"), 400, "01070313:3: Error reading key PEM file /Common/locked.key")
        chain = self.chain("locked", passphrase="open sesame")
        answer = self.ask("POST", CLIENT_SSL, {"name": "p", "certKeyChain": chain})
        stored = self.good(answer)["certKeyChain"][0]["passphrase"]
        self.assertNotIn("sesame", answer.text)
        # What was read cannot be sent back in its place.
        self.assertEqual(self.ask("PATCH", P, {"certKeyChain": self.chain("locked", passphrase=stored)}).status, 400)

    def test_profile_in_use_cannot_be_deleted(self) -> None:
        self.good(self.profile("p"))
        self.good(self.ask("POST", VIRTUAL, {"name": "vs", "destination": "/Common/10.0.0.1:443", "profiles": ["/Common/p"]}))
        self.refused(self.ask("DELETE", P), 400, "01070265:3: The ClientSSL Profile (/Common/p) cannot be deleted because "
                     "it is in use by a virtual server profile (/Common/vs /Common/p).")


class ClientSslOf13(Scene):
    version = "13.1"

    def test_needs_an_rsa_pair_and_does_not_mind_both_forms(self) -> None:
        self.install("ec", pair_of("ec.example.com", "ec"))
        self.install("one", pair_of("one.example.com"))
        self.refused(self.profile("p", "ec"), 400, "010717e3:3:")
        self.good(self.profile("p", "ec", "one"))
        self.good(self.profile("q", "one", cert="/Common/one.crt", key="/Common/one.key"))
        self.assertNotIn("inheritCaCertkeychain", self.good(self.ask("GET", P)))


class ClientSslOf16(Scene):
    version = "16.1"

    def test_mismatch_names_the_files(self) -> None:
        self.install("one", pair_of("one.example.com"))
        self.install("two", pair_of("two.example.com"))
        self.refused(self.profile("p", certKeyChain=[{"name": "x", "cert": "/Common/one.crt", "key": "/Common/two.key"}]),
                     400, "01070317:3: profile /Common/p's key(/Common/two.key) and certificate(/Common/one.crt) do not match.")


class ServerSsl(Scene):
    def test_has_scalars_with_references_only_when_set(self) -> None:
        shown = self.good(self.ask("POST", SERVER_SSL, {"name": "s"}))
        self.assertEqual((shown["cert"], shown["key"], shown["chain"]), ("none", "none", "none"))
        self.assertNotIn("certReference", shown)
        self.assertNotIn("certKeyChain", shown)
        self.install("one", pair_of("one.example.com"))
        self.install("two", pair_of("two.example.com"))
        url = f"{SERVER_SSL}/~Common~s"
        self.refused(self.ask("PATCH", url, {"cert": "/Common/one.crt", "key": "/Common/two.key"}), 400, "01070317:3:")
        shown = self.good(self.ask("PATCH", url, {"cert": "/Common/one.crt", "key": "/Common/one.key"}))
        self.assertIn("certReference", shown)
        self.refused(self.ask("DELETE", "/mgmt/tm/sys/file/ssl-cert/~Common~one.crt"), 400, "01071349:3:")


class Virtuals(Scene):
    def setUp(self) -> None:
        super().setUp()
        for name, more in (("p", {"sniDefault": "true", "serverName": "p.example.com"}), ("q", {"serverName": "q.example.com"}),
                           ("r", {"serverName": "p.example.com"}), ("s", {"sniDefault": "true", "serverName": "s.example.com"})):
            self.good(self.profile(name, **more))
        self.good(self.ask("POST", VIRTUAL, {
            "name": "vs", "destination": "/Common/10.10.10.10:443",
            "profiles": [{"name": "/Common/tcp", "context": "all"}, {"name": "p", "partition": "Common"}]}))
        self.url = f"{VIRTUAL}/~Common~vs"

    def attach(self, name: str, **more: str) -> Answer:
        return self.ask("POST", f"{self.url}/profiles", {"name": f"/Common/{name}"} | more)

    def attached(self) -> list[str]:
        shown = self.good(self.ask("GET", self.url, expandSubcollections="true"))
        return [item["name"] for item in shown["profilesReference"]["items"]]

    def test_profiles_show_only_when_expanded_or_below(self) -> None:
        shown = self.good(self.ask("GET", self.url))
        self.assertNotIn("items", shown["profilesReference"])
        self.assertEqual((shown["enabled"], shown["destination"]), (True, "/Common/10.10.10.10:443"))
        self.assertNotIn("disabled", shown)
        below = self.good(self.ask("GET", f"{self.url}/profiles"))["items"]
        self.assertEqual([(item["name"], item["context"]) for item in below], [("tcp", "all"), ("p", "clientside")])
        self.assertEqual(below[1]["nameReference"]["link"],
                         "https://localhost/mgmt/tm/ltm/profile/client-ssl/~Common~p?ver=15.1.2")
        self.assertEqual(self.attached(), ["tcp", "p"])

    def test_attach_and_detach_one(self) -> None:
        self.assertEqual(self.good(self.attach("q", context="clientside"))["fullPath"], "/Common/q")
        self.good(self.ask("DELETE", f"{self.url}/profiles/~Common~q"))
        self.assertEqual(self.attached(), ["tcp", "p"])
        self.assertEqual(self.ask("DELETE", f"{self.url}/profiles/~Common~q").status, 404)

    def test_patch_of_profiles_replaces_all_of_them(self) -> None:
        self.good(self.ask("PATCH", self.url, {"profiles": [{"name": "/Common/s", "context": "clientside"}]}))
        self.assertEqual(self.attached(), ["s"])

    def test_enabled_and_disabled_exclude_each_other(self) -> None:
        shown = self.good(self.ask("PATCH", self.url, {"disabled": True}))
        self.assertTrue(shown["disabled"])
        self.assertNotIn("enabled", shown)
        self.assertEqual(self.ask("PATCH", self.url, {"disabled": True, "enabled": True}).status, 400)

    def test_rules_for_server_names(self) -> None:
        several = "Virtual server /Common/vs has more than one clientssl/serverssl profile"
        self.good(self.attach("q"))
        self.refused(self.attach("s"), 400, "01071809:3: Virtual Server /Common/vs has more than one clientssl/serverssl "
                     "profile that is default for SNI.")
        self.refused(self.attach("r"), 400, f"0107149e:3: {several} with same server name.")
        self.refused(self.ask("PATCH", P, {"sniDefault": "false"}), 400,
                     f"0107149c:3: {several} but none of them is default for SNI.")
        self.assertEqual(self.attached(), ["tcp", "p", "q"])

    def test_duplicates_unknown_profiles_and_wrong_contexts(self) -> None:
        self.refused(self.attach("p"), 400, "01070097:3: Virtual server /Common/vs lists duplicate profiles.")
        self.refused(self.attach("no"), 400, "01020036:3: The requested profile (/Common/no) was not found.")
        self.assertEqual(self.attach("q", context="client-side").status, 400)

    def test_destination_is_shared_with_nobody(self) -> None:
        self.refused(self.ask("POST", VIRTUAL, {"name": "w", "destination": "10.10.10.10:https"}), 400,
                     "01070333:3: Virtual Server /Common/w illegally shares destination address")
        shown = self.good(self.ask("POST", VIRTUAL, {"name": "w", "destination": "/Common/2001:db8::1.443"}))
        self.assertEqual(shown["destination"], "/Common/2001:db8::1.443")

    def test_pages_selection_and_filter(self) -> None:
        for number in range(4):
            self.good(self.ask("POST", VIRTUAL, {"name": f"v{number}", "destination": f"10.0.0.{number}:80"}))
        page = self.good(self.ask("GET", VIRTUAL, top="2", skip="2", select="name"))
        self.assertEqual(page["items"], [{"name": "v1"}, {"name": "v2"}])
        self.assertEqual((page["totalItems"], page["totalPages"], page["pageIndex"], page["currentItemCount"]), (5, 3, 2, 2))
        self.assertIn("$skip=4", page["nextLink"])
        self.assertIn("$select=name", page["nextLink"])
        self.assertTrue(page["nextLink"].startswith("https://localhost/mgmt/tm/ltm/virtual?"))
        self.assertNotIn("nextLink", self.good(self.ask("GET", VIRTUAL, top="2", skip="4")))
        self.assertEqual(len(self.good(self.ask("GET", VIRTUAL))["items"]), 5)
        self.assertEqual(self.good(self.ask("GET", VIRTUAL, filter="partition eq Common", top="1"))["totalItems"], 5)
        self.assertEqual(self.good(self.ask("GET", VIRTUAL, filter="partition eq Other"))["items"], [])

    def test_empty_collection_may_have_no_items_at_all(self) -> None:
        self.good(self.ask("DELETE", self.url))
        self.assertEqual(self.good(self.ask("GET", VIRTUAL))["items"], [])
        self.pair.options.change("empty_items", "absent")
        self.assertNotIn("items", self.good(self.ask("GET", VIRTUAL)))
