"""F5's own SDK against the simulator: run by its environment's Python with the inventory and the folder of the new pair.

Logs in with a token, uploads, makes objects and a profile, puts the profile on a virtual server, changes its pair in a
transaction, saves and syncs. Prints nothing; an exception ends it with an error.
"""
import json
import pathlib
import sys

from f5.bigip import ManagementRoot
from f5.bigip.contexts import TransactionContextManager
from icontrol.exceptions import iControlUnexpectedHTTPError


def main(inventory_file: str, folder_name: str) -> None:
    inventory, folder = json.loads(pathlib.Path(inventory_file).read_text()), pathlib.Path(folder_name)
    host, port = inventory["pairs"][0]["units"]["a"].split(":")
    root = ManagementRoot(host, inventory["user"], inventory["password"], port=int(port), token=True, verify=inventory["ca"])
    assert root.tmos_version == "15.1.2", root.tmos_version
    token = root.icrs.token
    assert len(token) == 26, "no token"

    for name in ("first", "second"):
        for suffix in ("crt", "key"):
            root.shared.file_transfer.uploads.upload_file(str(folder / f"{name}.{suffix}"))
    files = root.tm.sys.file
    downloads = "file:/var/config/rest/downloads"
    files.ssl_keys.ssl_key.create(name="sdk.key", partition="Common", sourcePath=f"{downloads}/first.key")
    certificate = files.ssl_certs.ssl_cert.create(name="sdk.crt", partition="Common", sourcePath=f"{downloads}/first.crt")
    assert certificate.subject == "CN=first.example.com", certificate.subject

    profile = root.tm.ltm.profile.client_ssls.client_ssl.create(
        name="sdk", partition="Common", certKeyChain=[{"name": "sdk", "cert": "/Common/sdk.crt", "key": "/Common/sdk.key"}])
    assert profile.inheritCertkeychain == "false"
    virtual = root.tm.ltm.virtuals.virtual.load(name="vs_www", partition="Common")
    virtual.profiles_s.profiles.load(name="www_clientssl", partition="Common").delete()
    virtual.profiles_s.profiles.create(name="sdk", partition="Common", context="clientside")
    assert virtual.profiles_s.profiles.exists(name="sdk", partition="Common")

    key = files.ssl_keys.ssl_key.load(name="sdk.key", partition="Common")
    certificate = files.ssl_certs.ssl_cert.load(name="sdk.crt", partition="Common")
    try:
        key.sourcePath = f"{downloads}/second.key"
        key.update()
        raise AssertionError("half of a pair in use was changed")
    except iControlUnexpectedHTTPError as error:
        assert "01070317:3:" in str(error), error
    with TransactionContextManager(root.tm.transactions.transaction) as api:
        for kind, name in (("ssl-key", "sdk.key"), ("ssl-cert", "sdk.crt")):
            suffix = name.split(".")[1]
            api.icrs.put(f"https://{host}:{port}/mgmt/tm/sys/file/{kind}/~Common~{name}",
                         json={"sourcePath": f"{downloads}/second.{suffix}"})
    certificate.refresh()
    assert (certificate.subject, certificate.revision) == ("CN=second.example.com", 2), certificate.raw

    root.tm.sys.config.exec_cmd("save")
    root.tm.cm.exec_cmd("run", utilCmdArgs=f"config-sync to-group {inventory['group']}")
    statuses = []
    while len(statuses) < 10 and statuses[-1:] != ["In Sync"]:
        status = root.tm.cm.sync_status
        status.refresh()
        (entry,) = status.entries.values()
        statuses.append(entry["nestedStats"]["entries"]["status"]["description"])
    assert statuses == ["Changes Pending", "In Sync"], statuses
    root.icrs.delete(f"https://{host}:{port}/mgmt/shared/authz/tokens/{token}")


if __name__ == "__main__":
    main(*sys.argv[1:])
