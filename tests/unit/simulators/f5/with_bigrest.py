"""BIGREST, another client that others wrote, against the simulator: like with_f5_sdk.py, and deletes what it made."""
import json
import pathlib
import sys

from bigrest.bigip import BIGIP
from bigrest.common.exceptions import RESTAPIError


def main(inventory_file: str, folder_name: str) -> None:
    inventory, folder = json.loads(pathlib.Path(inventory_file).read_text()), pathlib.Path(folder_name)
    device = BIGIP(inventory["pairs"][0]["units"]["a"], inventory["user"], inventory["password"], request_token=True,
                   session_verify=inventory["ca"])
    for name in ("first", "second"):
        for suffix in ("crt", "key"):
            device.upload("/mgmt/shared/file-transfer/uploads", str(folder / f"{name}.{suffix}"))
    downloads = "file:/var/config/rest/downloads"
    with device:
        for name in ("first", "second"):
            for kind, suffix in (("ssl-key", "key"), ("ssl-cert", "crt")):
                device.create(f"/mgmt/tm/sys/file/{kind}", {
                    "name": f"{name}.{suffix}", "sourcePath": f"{downloads}/{name}.{suffix}"})
    profile = device.create("/mgmt/tm/ltm/profile/client-ssl", {"name": "bigrest", "certKeyChain": [
        {"name": "x", "cert": "/Common/first.crt", "key": "/Common/first.key"}]})
    assert profile.properties["cert"] == "/Common/first.crt"
    device.modify("/mgmt/tm/ltm/virtual/~Common~vs_www", {"profiles": ["/Common/tcp", "/Common/bigrest"]})
    path = "/mgmt/tm/ltm/profile/client-ssl/~Common~bigrest"
    with device as transaction:
        assert transaction.properties["state"] == "STARTED"
        device.modify(path, {"certKeyChain": [{"name": "x", "cert": "/Common/second.crt", "key": "/Common/second.key"}]})
        device.delete("/mgmt/tm/sys/file/ssl-cert/~Common~first.crt")
        device.delete("/mgmt/tm/sys/file/ssl-key/~Common~first.key")
        device.transaction_validate()
        assert device.exist("/mgmt/tm/sys/file/ssl-cert/~Common~first.crt")
    assert not device.exist("/mgmt/tm/sys/file/ssl-cert/~Common~first.crt")
    try:
        device.delete("/mgmt/tm/sys/file/ssl-cert/~Common~second.crt")
        raise AssertionError("a certificate in use was deleted")
    except RESTAPIError as error:
        assert "01071349:3:" in str(error), error
    device.command("/mgmt/tm/sys/config", {"command": "save"})
    task = device.task_start("/mgmt/tm/task/cm/config-sync", {
        "command": "run", "options": [{"to-group": f"/Common/{inventory['group']}"}]})
    while not device.task_completed(task):
        pass
    assert len(device.load("/mgmt/tm/ltm/profile/client-ssl")) == 3


if __name__ == "__main__":
    main(*sys.argv[1:])
