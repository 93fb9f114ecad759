"""What nobody has verified on a device, as options with names: see README.md for where each comes from."""
from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Options:
    # Refusals that a device may not make, to catch a sloppy client.
    strict_fields: bool = True  # a property that nobody knows is refused
    strict_content_range: bool = True  # an upload without Content-Range is refused
    strict_coordination: bool = True  # the transaction header on uploads, commands and saves is refused
    strict_credentials: bool = True  # Basic and a token together are refused
    # Limits.
    chunk_limit: int = 1 << 20  # bytes of one chunk of an upload; 1 MiB is documented, 7 MiB was seen to work
    token_limit: int = 100  # tokens of one user, the built-in admin excepted
    empty_items: str = "list"  # or "absent": what an empty collection says
    # Accounts.
    login_providers: tuple[str, ...] = ("tmos",)
    provider_needed: bool = False  # a login without loginProviderName is refused to local users too
    credentials_precedence: str = "token"  # or "basic": what counts when both come and that is not refused
    token_extension_from: str = "creation"  # or "patch": where a new timeout counts from
    token_purge: str = "own"  # or "all": what DELETE on the collection of tokens removes
    upload_roles: tuple[str, ...] = ("admin",)
    remove_file_roles: tuple[str, ...] = ("admin",)  # util/unix-rm
    # Certificates and profiles.
    mismatch_names_pair: str = "auto"  # "yes", "no", or "auto": from 16.1 on; the long text of 01070317
    rsa_needed_below: int = 14  # major version from which a profile may hold an ECDSA pair alone
    sni_matches_certificate: bool = False  # names of the certificate count where serverName is none
    crypto_in_transaction: bool = False  # sys/crypto may be queued
    install_polls: int = 0  # sys/crypto: how many reads of an installed object still say it is not there
    # Transactions.
    failed_transaction: str = "keep"  # or "remove": what a failed commit leaves
    unknown_transaction_code: int = 404  # for one that expired, was removed or never was
    # Saving and syncing.
    sync_saves_peer: bool = False  # a manual sync writes the peer's saved configuration
    conflict_sync: str = "overwrite"  # or "pending": what a sync does when both units changed
    restart_keeps_tokens: bool = False
    task_blocks_writes: bool = False  # 503 to other writes while an asynchronous task runs

    _choices = {
        "empty_items": ("list", "absent"), "credentials_precedence": ("token", "basic"), "token_extension_from": ("creation", "patch"),
        "token_purge": ("own", "all"), "mismatch_names_pair": ("auto", "yes", "no"),
        "failed_transaction": ("keep", "remove"), "conflict_sync": ("overwrite", "pending"),
    }

    def change(self, name: str, value: Any) -> None:
        """Sets one option; ValueError says which name or value is wrong."""
        known = {field.name for field in fields(self)}
        if name not in known:
            raise ValueError(f"option {name} is unknown; there are {', '.join(sorted(known))}")
        now = getattr(self, name)
        if isinstance(now, tuple) and isinstance(value, list) and all(isinstance(v, str) for v in value):
            value = tuple(value)
        if type(value) is not type(now):
            raise ValueError(f"option {name} is {type(now).__name__}, not {type(value).__name__}")
        if name in self._choices and value not in self._choices[name]:
            raise ValueError(f"option {name} is one of {', '.join(self._choices[name])}")
        setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
