"""What differs between the TMOS versions that can be played."""
from dataclasses import dataclass

PLAYED = {
    "12.1": "12.1.2", "13.1": "13.1.1", "14.1": "14.1.2", "15.1": "15.1.2", "16.1": "16.1.3", "17.1": "17.1.1",
}


@dataclass(frozen=True)
class Version:
    text: str  # "15.1.2", as links and sys/version say it

    @property
    def number(self) -> tuple[int, int]:
        major, minor = self.text.split(".")[:2]
        return int(major), int(minor)

    @property
    def has_bulk_uploads(self) -> bool:
        return self.number >= (13, 0)

    @property
    def has_sys_ready(self) -> bool:
        return self.number >= (13, 1)

    @property
    def limits_tokens(self) -> bool:
        return self.number >= (13, 1)

    @property
    def has_fingerprint(self) -> bool:
        return self.number >= (14, 0)

    @property
    def has_ca_certkeychain(self) -> bool:
        return self.number >= (14, 0)

    @property
    def refuses_both_chain_forms(self) -> bool:
        return self.number >= (14, 0)

    @property
    def tells_missing_keys(self) -> bool:
        """A missing key has a message of its own."""
        return self.number >= (14, 0)

    @property
    def appends_suffixes(self) -> bool:
        """sys/crypto adds .crt or .key to a name without it."""
        return self.number < (14, 0)

    @property
    def cuts_error_bodies(self) -> bool:
        return self.number < (16, 1)


def version(short: str) -> Version:
    """The version for "15.1"; ValueError names those that can be played."""
    if short not in PLAYED:
        raise ValueError(f"version {short} cannot be played; choose one of {', '.join(PLAYED)}")
    return Version(PLAYED[short])
