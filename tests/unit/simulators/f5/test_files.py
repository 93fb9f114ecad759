"""Uploads, sys/file and sys/crypto."""
import base64
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from scene import CERT, CLIENT_SSL, DOWNLOADS, KEY, Scene, encrypted_pair, pair_of

UPLOADS = "/mgmt/shared/file-transfer/uploads"
CRYPTO = "/mgmt/tm/sys/crypto"


class Uploads(Scene):
    def chunk(self, name: str, data: bytes, place: str | None, **more: str) -> int:
        headers = {"content-type": "application/octet-stream"} | ({"content-range": place} if place else {}) | more
        answer = self.ask("POST", f"{UPLOADS}/{name}", data, headers=headers)
        self.last = answer
        return answer.status

    def test_chunks_add_up_and_the_answer_counts_them(self) -> None:
        self.assertEqual(self.chunk("x", b"abc", "0-2/5"), 200)
        self.assertEqual(self.last.json["remainingByteCount"], 2)
        self.assertEqual(self.a.uploads.files, {})
        self.assertEqual(self.chunk("x", b"de", "3-4/5"), 200)
        self.assertEqual(self.last.json["usedChunks"], {"0": 3, "3": 2})
        self.assertEqual(self.last.json["localFilePath"], f"{DOWNLOADS}/x")
        self.assertEqual(self.a.uploads.files, {f"{DOWNLOADS}/x": b"abcde"})

    def test_chunk_that_leaves_a_gap_is_refused_and_the_upload_can_begin_again(self) -> None:
        self.chunk("x", b"abc", "0-2/6")
        self.assertEqual(self.chunk("x", b"ef", "4-5/6"), 400)
        self.assertEqual((self.chunk("x", b"ABC", "0-2/6"), self.chunk("x", b"DEF", "3-5/6")), (200, 200))
        self.assertEqual(self.a.uploads.files, {f"{DOWNLOADS}/x": b"ABCDEF"})

    def test_same_name_again_overwrites(self) -> None:
        self.chunk("x", b"old", "0-2/3")
        self.chunk("x", b"new!", "0-3/4")
        self.assertEqual(self.a.uploads.files[f"{DOWNLOADS}/x"], b"new!")

    def test_wrong_ranges_are_refused_and_leave_no_file(self) -> None:
        for place, data, message in (
                ("0-2/3", b"four", "Chunk byte count 3 different from received buffer length 4"),
                ("bytes 0-2/3", b"abc", "simulator"), ("1-3/4", b"abc", "simulator"), ("0-3/3", b"abcd", "simulator"),
                (None, b"abc", "simulator, strict")):
            with self.subTest(place):
                self.assertEqual(self.chunk("x", data, place), 400)
                self.assertTrue(self.last.message.startswith(message), self.last.message)
        self.assertEqual(self.a.uploads.files, {})

    def test_without_a_range_the_whole_body_counts_if_the_option_says_so(self) -> None:
        self.pair.options.change("strict_content_range", False)
        self.assertEqual(self.chunk("x", b"abc", None), 200)
        self.assertEqual(self.a.uploads.files[f"{DOWNLOADS}/x"], b"abc")

    def test_chunk_beyond_the_limit_is_refused(self) -> None:
        self.pair.options.change("chunk_limit", 4)
        self.assertEqual((self.chunk("x", b"abcd", "0-3/4"), self.chunk("x", b"abcde", "0-4/5")), (200, 400))

    def test_name_is_one_segment_and_no_image(self) -> None:
        self.assertEqual([self.chunk(name, b"a", "0-0/1") for name in ("a~b", "x.iso", "a%2fb")], [400, 400, 400])

    def test_transaction_header_on_an_upload_is_refused_or_ignored(self) -> None:
        header = {"x-f5-rest-coordination-id": "1"}
        self.assertEqual(self.chunk("x", b"a", "0-0/1", **header), 400)
        self.pair.options.change("strict_coordination", False)
        self.assertEqual(self.chunk("x", b"a", "0-0/1", **header), 200)

    def test_file_stays_until_it_is_removed_and_removing_twice_is_an_error_with_status_200(self) -> None:
        self.chunk("x", b"a", "0-0/1")
        self.a.restart()
        self.assertIn(f"{DOWNLOADS}/x", self.a.uploads.files)
        body = {"command": "run", "utilCmdArgs": f"{DOWNLOADS}/x"}
        self.assertNotIn("commandResult", self.good(self.ask("POST", "/mgmt/tm/util/unix-rm", body)))
        self.assertTrue(self.good(self.ask("POST", "/mgmt/tm/util/unix-rm", body))["commandResult"].startswith("/bin/rm"))

    def test_uploads_do_not_cross_to_the_peer(self) -> None:
        self.upload("x", "a")
        self.good(self.sync())
        self.status()
        self.assertEqual(self.b.uploads.files, {})


class CertificatesAndKeys(Scene):
    def test_certificate_shows_what_is_in_the_file(self) -> None:
        pem, _ = pair_of("www.example.com")
        self.install("www", pair_of("www.example.com"))
        shown = self.good(self.ask("GET", f"{CERT}/~Common~www.crt"))
        parsed = x509.load_pem_x509_certificate(pem.encode())
        self.assertEqual(shown["checksum"], f"SHA1:{len(pem)}:{hashlib.sha1(pem.encode()).hexdigest()}")
        self.assertEqual(shown["subject"], "CN=www.example.com")
        self.assertEqual(shown["issuer"], "CN=test CA")
        self.assertEqual(shown["subjectAlternativeName"], "DNS:www.example.com")
        self.assertEqual(shown["expirationDate"], int(parsed.not_valid_after.timestamp()))
        self.assertEqual(shown["expirationString"], parsed.not_valid_after.strftime("%b %e %H:%M:%S %Y GMT"))
        self.assertEqual(shown["serialNumber"].replace(":", "").lstrip("0"), f"{parsed.serial_number:x}")
        self.assertEqual((shown["keyType"], shown["certificateKeySize"], shown["isBundle"], shown["revision"]),
                         ("rsa-public", 2048, "false", 1))
        self.assertTrue(shown["fingerprint"].startswith("SHA256/"))
        self.assertEqual(shown["selfLink"], f"https://localhost{CERT}/~Common~www.crt?ver=15.1.2")

    def test_key_shows_its_kind_but_neither_itself_nor_a_passphrase(self) -> None:
        self.install("www", encrypted_pair("www.example.com", "open sesame"), passphrase="open sesame")
        answer = self.ask("GET", f"{KEY}/~Common~www.key")
        self.assertEqual((answer.json["keyType"], answer.json["keySize"], answer.json["securityType"]),
                         ("rsa-private", 2048, "password"))
        self.assertNotIn("sesame", answer.text)
        self.assertNotIn("PRIVATE KEY", answer.text)

    def test_private_key_whose_numbers_do_not_belong_together_is_refused(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        secret = key.private_numbers().d
        for form, word in ((serialization.PrivateFormat.PKCS8, ""), (serialization.PrivateFormat.TraditionalOpenSSL, "RSA ")):
            good = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
            bad = good.replace(secret.to_bytes(256, "big").lstrip(b"\0"), (secret - 1).to_bytes(256, "big").lstrip(b"\0"))
            self.assertNotEqual(good, bad)
            for der, status in ((good, 200), (bad, 400), (good[:-40], 400)):
                body = base64.encodebytes(der).decode()
                source = self.upload("k", f"-----BEGIN {word}PRIVATE KEY-----\n{body}-----END {word}PRIVATE KEY-----\n")
                self.assertEqual(self.ask("POST", KEY, {"name": "k.key", "sourcePath": source}).status, status)
                self.ask("DELETE", f"{KEY}/~Common~k.key")

    def test_elliptic_curve_is_named_as_openssl_does(self) -> None:
        self.install("ec", pair_of("ec.example.com", "ec"))
        self.assertEqual(self.good(self.ask("GET", f"{CERT}/~Common~ec.crt"))["certificateKeyCurveName"], "prime256v1")
        self.assertEqual(self.good(self.ask("GET", f"{KEY}/~Common~ec.key"))["keyType"], "ec-private")

    def test_several_certificates_are_a_bundle_told_by_the_first(self) -> None:
        source = self.upload("b", pair_of("first.example.com")[0] + pair_of("second.example.com", "ec")[0])
        shown = self.good(self.ask("POST", CERT, {"name": "bundle.crt", "sourcePath": source}))
        self.assertEqual((shown["isBundle"], shown["subject"]), ("true", "CN=first.example.com"))

    def test_update_reads_the_file_again_though_its_path_stays(self) -> None:
        self.install("www", pair_of("www.example.com"))
        source = self.upload("www.crt", pair_of("www.example.com", number=1)[0])
        for method in ("PATCH", "PUT"):
            shown = self.good(self.ask(method, f"{CERT}/~Common~www.crt", {"sourcePath": source}))
            self.assertIn(hashlib.sha1(pair_of("www.example.com", number=1)[0].encode()).hexdigest(), shown["checksum"])
        self.assertEqual(shown["revision"], 3)

    def test_existing_missing_and_absent_source(self) -> None:
        self.install("www", pair_of("www.example.com"))
        body = {"name": "www.crt", "sourcePath": f"file:{DOWNLOADS}/www.crt"}
        self.refused(self.ask("POST", CERT, body), 409, "01020066:3: The requested Certificate File (/Common/www.crt) "
                                                        "already exists in partition Common.")
        self.refused(self.ask("GET", f"{KEY}/~Common~no.key"), 404,
                     "01020036:3: The requested Certificate Key File (/Common/no.key) was not found.")
        answer = self.ask("POST", CERT, {"name": "new.crt", "sourcePath": "file:/var/config/rest/downloads/no"})
        self.assertEqual(answer.json, {"code": 400, "message": "Failed! exit_code (37).\n", "errorStack": [],
                                       "apiError": 26214401})
        self.assertEqual(self.ask("POST", CERT, {"name": "new.crt", "sourcePath": "/no/scheme"}).status, 400)

    def test_file_in_use_cannot_be_deleted_until_the_profile_lets_go(self) -> None:
        self.install("www", pair_of("www.example.com"))
        self.good(self.profile("p", "www"))
        for url in (f"{CERT}/~Common~www.crt", f"{KEY}/~Common~www.key"):
            self.refused(self.ask("DELETE", url), 400, "01071349:3: File object by name (/Common/www.")
        self.good(self.ask("DELETE", f"{CLIENT_SSL}/~Common~p"))
        for url in (f"{CERT}/~Common~www.crt", f"{KEY}/~Common~www.key"):
            answer = self.ask("DELETE", url)
            self.assertEqual((answer.status, answer.text), (200, ""))

    def test_update_of_half_a_pair_in_use_is_refused_and_changes_nothing(self) -> None:
        self.install("www", pair_of("www.example.com"))
        self.good(self.profile("p", "www"))
        source = self.upload("new.crt", pair_of("www.example.com", number=1)[0])
        self.refused(self.ask("PATCH", f"{CERT}/~Common~www.crt", {"sourcePath": source}), 400, "01070317:3: profile "
                     "/Common/p's key and certificate do not match")
        self.assertEqual(self.good(self.ask("GET", f"{CERT}/~Common~www.crt"))["revision"], 1)

    def test_file_that_is_no_pem_is_refused(self) -> None:
        source = self.upload("x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.assertEqual(self.ask("POST", CERT, {"name": "x.crt", "sourcePath": source}).status, 400)
        self.assertEqual(self.ask("POST", KEY, {"name": "x.key", "sourcePath": source}).status, 400)

    def test_unknown_property_is_refused_unless_the_option_says_otherwise(self) -> None:
        body = {"name": "x.crt", "sourcePath": self.upload("x", pair_of("x")[0]), "content": "inline"}
        self.refused(self.ask("POST", CERT, body), 400, "simulator, strict: content")
        self.pair.options.change("strict_fields", False)
        self.good(self.ask("POST", CERT, body))


class FilesOf13(Scene):
    version = "13.1"

    def test_show_no_fingerprint(self) -> None:
        self.install("www", pair_of("www.example.com"))
        self.assertNotIn("fingerprint", self.good(self.ask("GET", f"{CERT}/~Common~www.crt")))

    def test_installed_name_gets_its_suffix(self) -> None:
        source = self.upload("up", pair_of("www.example.com")[0]).removeprefix("file:")
        self.good(self.ask("POST", f"{CRYPTO}/cert", {"command": "install", "name": "www", "from-local-file": source}))
        self.good(self.ask("GET", f"{CERT}/~Common~www.crt"))


class Installed(Scene):
    def send(self, kind: str, name: str, content: str, **more: str) -> int:
        source = self.upload("up", content).removeprefix("file:")
        self.last = self.ask("POST", f"{CRYPTO}/{kind}", {
            "command": "install", "name": name, "from-local-file": source} | more)
        return self.last.status

    def test_install_keeps_the_name_and_overwrites(self) -> None:
        for number in (0, 1):
            self.assertEqual(self.send("cert", "/Common/www", pair_of("www.example.com", number=number)[0]), 200)
        self.assertEqual(self.send("key", "/Common/www", pair_of("www.example.com", number=1)[1]), 200)
        self.assertEqual(self.good(self.ask("GET", f"{CERT}/~Common~www"))["revision"], 2)
        listed = self.good(self.ask("GET", f"{CRYPTO}/cert"))["items"]
        self.assertIn("/Common/www", [item["name"] for item in listed])
        self.assertNotIn("partition", listed[0])

    def test_install_that_breaks_a_pair_in_use_is_refused(self) -> None:
        self.install("www", pair_of("www.example.com"))
        self.good(self.profile("p", "www"))
        self.send("key", "www.key", pair_of("www.example.com", number=1)[1])
        self.refused(self.last, 400, "01070317:3:")

    def test_absent_file_is_told_by_tmsh(self) -> None:
        body = {"command": "install", "name": "x.key", "from-local-file": f"{DOWNLOADS}/no"}
        answer = self.ask("POST", f"{CRYPTO}/key", body)
        self.refused(answer, 400, f"Unable to copy ({DOWNLOADS}/no) into tempfile (/var/system/tmp/tmsh/")
        self.assertEqual(answer.json["apiError"], 26214401)

    def test_installed_object_may_take_some_reads_to_show(self) -> None:
        self.pair.options.change("install_polls", 2)
        self.send("cert", "www.crt", pair_of("www.example.com")[0])
        self.assertEqual([self.ask("GET", f"{CRYPTO}/cert/~Common~www.crt").status for _ in range(3)], [404, 404, 200])

    def test_passphrases_are_checked_and_not_echoed(self) -> None:
        _, key = encrypted_pair("www.example.com", "open sesame")
        self.assertEqual(self.send("key", "x.key", key, passphrase="wrong"), 400)
        self.assertIn("is protected by provided passphrase", self.last.message)
        self.assertEqual(self.send("key", "x.key", pair_of("www.example.com")[1], passphrase="any"), 400)
        self.assertIn("Passphrase specified, but key", self.last.message)
        self.assertEqual(self.send("key", "x.key", key, passphrase="open sesame"), 200)
        self.assertNotIn("sesame", self.last.text)

    def test_pkcs12_makes_certificate_and_key(self) -> None:
        certificate, key = pair_of("p12.example.com")
        bundle = pkcs12.serialize_key_and_certificates(
            b"x", serialization.load_pem_private_key(key.encode(), None),  # type: ignore[arg-type]
            x509.load_pem_x509_certificate(certificate.encode()), None, serialization.BestAvailableEncryption(b"pw"))
        self.ask("POST", f"{UPLOADS}/b.p12", bundle, headers={
            "content-type": "application/octet-stream", "content-range": f"0-{len(bundle) - 1}/{len(bundle)}"})
        body = {"command": "install", "name": "p12", "from-local-file": f"{DOWNLOADS}/b.p12:key=p12.key"}
        self.assertEqual(self.ask("POST", f"{CRYPTO}/pkcs12", body | {"passphrase": "no"}).status, 400)
        self.good(self.ask("POST", f"{CRYPTO}/pkcs12", body | {"passphrase": "pw"}))
        self.assertEqual(self.good(self.ask("GET", f"{CERT}/~Common~p12"))["subject"], "CN=p12.example.com")
        self.good(self.ask("GET", f"{KEY}/~Common~p12.key"))


class Partitions(Scene):
    def test_objects_live_in_partitions_and_folders_that_exist(self) -> None:
        source = self.upload("x", pair_of("x")[0])
        body = {"name": "x.crt", "partition": "Tenant", "sourcePath": source}
        self.refused(self.ask("POST", CERT, body), 404, "01020036:3: The requested folder (/Tenant) was not found.")
        self.good(self.ask("POST", "/mgmt/tm/auth/partition", {"name": "Tenant"}))
        self.assertEqual(self.good(self.ask("POST", CERT, body))["fullPath"], "/Tenant/x.crt")
        self.good(self.ask("POST", "/mgmt/tm/sys/folder", {"name": "app.app", "partition": "Tenant"}))
        self.good(self.ask("POST", CERT, {"name": "/Tenant/app.app/y.crt", "sourcePath": source}))
        self.good(self.ask("GET", f"{CERT}/~Tenant~app.app~y.crt"))

    def test_profile_refers_to_common_and_its_own_partition_only(self) -> None:
        certificate, key = pair_of("x")
        for partition in ("One", "Two"):
            self.good(self.ask("POST", "/mgmt/tm/auth/partition", {"name": partition}))
        for url, name, content in ((CERT, "x.crt", certificate), (KEY, "x.key", key)):
            self.good(self.ask("POST", url, {"name": name, "partition": "One", "sourcePath": self.upload(name, content)}))
        chain = [{"name": "x", "cert": "/One/x.crt", "key": "/One/x.key"}]
        self.good(self.ask("POST", CLIENT_SSL, {"name": "p", "partition": "One", "certKeyChain": chain}))
        self.assertEqual(self.ask("POST", CLIENT_SSL, {"name": "p", "partition": "Two", "certKeyChain": chain}).status, 400)
        self.assertEqual(self.ask("DELETE", "/mgmt/tm/auth/partition/One").status, 400)
        self.good(self.ask("DELETE", "/mgmt/tm/auth/partition/Two"))


