"""Logins, tokens, roles."""
import re

from scene import BEGIN, CERT, CLIENT_SSL, Scene

TOKENS = "/mgmt/shared/authz/tokens"


class Tokens(Scene):
    def token(self, user: str = "svc") -> str:
        return str(self.good(self.log_in(user))["token"]["token"])

    def test_login_answers_as_the_captured_sample_does(self) -> None:
        shown = self.good(self.log_in())
        self.assertEqual(set(shown), {"username", "loginReference", "loginProviderName", "token", "generation",
                                      "lastUpdateMicros"})
        token = shown["token"]
        self.assertEqual(set(token), {
            "token", "name", "userName", "authProviderName", "user", "timeout", "startTime", "address", "partition",
            "generation", "lastUpdateMicros", "expirationMicros", "kind", "selfLink"})
        self.assertRegex(token["token"], "^[A-Z2-7]{26}$")
        self.assertEqual(token["timeout"], 1200)
        self.assertEqual(token["expirationMicros"], int((BEGIN + 1200) * 1e6))
        self.assertEqual(token["selfLink"], f"https://localhost{TOKENS}/{token['token']}")

    def test_token_lets_in_until_its_time_is_up_and_then_says_expired(self) -> None:
        token = self.token()
        self.clock.advance(1199)
        self.good(self.ask("GET", "/mgmt/tm/sys", token=token))
        self.clock.advance(2)
        self.refused(self.ask("GET", "/mgmt/tm/sys", token=token), 401, "X-F5-Auth-Token has expired.")

    def test_extended_token_lives_longer_and_the_answer_is_flat(self) -> None:
        token = self.token()
        shown = self.good(self.ask("PATCH", f"{TOKENS}/{token}", {"timeout": "36000"}, token=token))
        self.assertEqual((shown["timeout"], shown["generation"], shown["token"]), (36000, 2, token))
        self.clock.advance(35000)
        self.good(self.ask("GET", "/mgmt/tm/sys", token=token))

    def test_extension_beyond_ten_hours_is_406(self) -> None:
        token = self.token()
        self.refused(self.ask("PATCH", f"{TOKENS}/{token}", {"timeout": 36001}, token=token), 406,
                     "Auth-token absolute timeout (36000 seconds) exceeded")

    def test_extension_counts_from_where_the_option_says(self) -> None:
        for start, left in (("creation", 500), ("patch", 1500)):
            with self.subTest(start):
                self.pair.options.change("token_extension_from", start)
                token = self.token()
                created = self.clock.now()
                self.clock.advance(1000)
                shown = self.good(self.ask("PATCH", f"{TOKENS}/{token}", {"timeout": 1500}, token=token))
                self.assertEqual(shown["expirationMicros"], int((created + 1000 + left) * 1e6))

    def test_deleted_token_does_not_exist_any_more(self) -> None:
        token = self.token()
        self.assertEqual(self.good(self.ask("DELETE", f"{TOKENS}/{token}", token=token))["token"], token)
        self.refused(self.ask("GET", "/mgmt/tm/sys", token=token), 401, "X-F5-Auth-Token does not exist.")
        self.assertEqual(self.ask("DELETE", f"{TOKENS}/{token}").status, 404)

    def test_hundred_and_first_login_is_refused_except_to_the_built_in_admin(self) -> None:
        for _ in range(100):
            self.good(self.log_in())
            self.good(self.log_in("admin"))
        answer = self.log_in()
        self.assertEqual(answer.status, 400)
        self.assertTrue(re.fullmatch("user [0-9a-f-]{36} has reached maximum active login tokens", answer.message))
        self.good(self.log_in("admin"))
        self.clock.advance(1201)  # expired ones do not count
        self.good(self.log_in())

    def test_purge_takes_ones_own_tokens_or_all_as_the_option_says(self) -> None:
        self.token("admin")
        self.token()
        self.good(self.ask("DELETE", TOKENS))
        self.assertEqual(len(self.a.accounts.tokens), 1)
        self.pair.options.change("token_purge", "all")
        self.good(self.ask("DELETE", TOKENS))
        self.assertEqual(len(self.a.accounts.tokens), 0)

    def test_token_of_another_user_is_400(self) -> None:
        token = self.token()
        self.assertEqual(self.ask("GET", f"{TOKENS}/{token}", user="viewer").status, 400)

    def test_token_of_one_unit_is_unknown_to_the_other(self) -> None:
        self.refused(self.ask("GET", "/mgmt/tm/sys", token=self.token(), unit="b"), 401, "X-F5-Auth-Token does not exist.")


class TokensOf12(Scene):
    version = "12.1"

    def test_has_no_limit_of_tokens(self) -> None:
        for _ in range(101):
            self.good(self.log_in())


class Passwords(Scene):
    def test_wrong_password_is_401_with_its_reason_and_without_the_password(self) -> None:
        answer = self.log_in(password="guess")
        self.refused(answer, 401, "Authentication failed.")
        self.assertEqual(answer.reason, "F5 Authorization Required")
        self.assertNotIn("guess", answer.text)
        self.assertEqual(self.a.accounts.failed_logins, 1)

    def test_wrong_provider_is_401(self) -> None:
        self.refused(self.log_in(loginProviderName="local"), 401, "loginProviderName is invalid.")

    def test_remote_user_needs_a_provider_and_a_token(self) -> None:
        self.assertEqual(self.log_in("ldap", loginProviderName=None).status, 400)
        self.assertEqual(self.ask("GET", "/mgmt/tm/sys", user="ldap").status, 401)
        token = self.good(self.log_in("ldap"))["token"]
        self.assertIn("/providers/tmos/", token["user"]["link"])
        self.assertIn("groupReferences", token)
        self.good(self.ask("GET", "/mgmt/tm/sys", token=token["token"]))

    def test_no_credentials_are_told_before_the_address_is_looked_at(self) -> None:
        self.refused(self.ask("GET", "/mgmt/tm/nowhere", user=None), 401,
                     "Authorization failed: no user authentication header or token detected. Uri:http://localhost:8100/")

    def test_both_credentials_are_refused_unless_the_option_says_which_counts(self) -> None:
        token = self.good(self.log_in())["token"]["token"]
        wrong = {"authorization": "Basic bm9ib2R5Om5vYm9keQ=="}
        self.refused(self.ask("GET", "/mgmt/tm/sys", token=token, headers=wrong), 400, "simulator, strict")
        self.pair.options.change("strict_credentials", False)
        self.good(self.ask("GET", "/mgmt/tm/sys", token=token, headers=wrong))
        self.pair.options.change("credentials_precedence", "basic")
        self.assertEqual(self.ask("GET", "/mgmt/tm/sys", token=token, headers=wrong).status, 401)


class Roles(Scene):
    def upload_as(self, user: str) -> int:
        return self.ask("POST", "/mgmt/shared/file-transfer/uploads/x", b"1", user=user, headers={
            "content-type": "application/octet-stream", "content-range": "0-0/1"}).status

    def test_only_an_administrator_uploads(self) -> None:
        self.assertEqual([self.upload_as(user) for user in ("svc", "res", "cert", "viewer")], [200, 401, 401, 401])

    def test_a_role_that_is_too_low_is_401_and_names_the_address(self) -> None:
        self.refused(self.ask("PATCH", "/mgmt/tm/ltm/virtual/~Common~vs", {}, user="cert"), 401,
                     "Authorization failed: user=https://localhost/mgmt/shared/authz/users/cert "
                     "resource=/mgmt/tm/ltm/virtual/~Common~vs verb=PATCH uri:http://localhost:8100/mgmt/")

    def test_a_certificate_manager_changes_profiles_but_does_not_save(self) -> None:
        self.good(self.ask("POST", CLIENT_SSL, {"name": "p"}, user="cert"))
        self.assertEqual(self.ask("POST", "/mgmt/tm/sys/config", {"command": "save"}, user="cert").status, 401)

    def test_a_guest_only_reads(self) -> None:
        self.good(self.ask("GET", CERT, user="viewer"))
        self.assertEqual(self.ask("DELETE", f"{CERT}/~Common~default.crt", user="viewer").status, 401)

    def test_uploads_are_allowed_to_the_roles_that_the_option_names(self) -> None:
        self.pair.options.change("upload_roles", ["admin", "resource-admin"])
        self.assertEqual([self.upload_as(user) for user in ("res", "cert")], [200, 401])
