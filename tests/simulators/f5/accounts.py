"""Users, roles and tokens."""
import base64
import secrets
import urllib.parse
import uuid
from collections import OrderedDict
from dataclasses import dataclass

from . import names
from .clock import Clock, micros, milliseconds_text
from .options import Options
from .versions import Version
from .wire import Denied, Json, Page, Request, parse_object, strict

TOKEN_SECONDS, LONGEST_TOKEN_SECONDS = 1200, 36000
REMEMBERED_TOKENS = 10000  # expired ones, to tell "has expired" from "does not exist"
PROVIDER = "https://localhost/mgmt/cm/system/authn/providers/tmos/1f44a60e-11a7-3c51-a49f-82983026b41b"
BUILT_IN = "admin"
ROLES = {"admin": 0, "resource-admin": 20, "user-manager": 40, "auditor": 80, "manager": 100, "application-editor": 300,
         "operator": 400, "certificate-manager": 500, "irule-manager": 510, "guest": 700}
READERS = frozenset({"auditor", "operator", "guest", "user-manager", "application-editor", "irule-manager"})
# Which addresses a certificate-manager may change is not verified; that virtual servers and saving are not among them is
# reported.
CERTIFICATE_ADDRESSES = ("/mgmt/tm/sys/file/ssl-", "/mgmt/tm/sys/crypto/", "/mgmt/tm/ltm/profile/client-ssl",
                         "/mgmt/tm/ltm/profile/server-ssl", "/mgmt/tm/transaction")
UPLOADS = "/mgmt/shared/file-transfer/"
REMOVE_FILE = "/mgmt/tm/util/unix-rm"


@dataclass
class User:
    name: str
    password: str
    role: str
    remote: bool = False  # kept by LDAP or the like: needs a token


@dataclass
class Token:
    name: str
    user: User
    created: float
    timeout: int
    counted_from: float
    changed: float
    address: str
    generation: int = 1

    @property
    def expires(self) -> float:
        return self.counted_from + self.timeout


class Accounts:
    def __init__(self, clock: Clock, options: Options, version: Version) -> None:
        self.clock, self.options, self.version = clock, options, version
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.expired: OrderedDict[str, None] = OrderedDict()
        self.failed_logins = 0
        self.most_tokens = 0  # that lived at the same time

    def add_user(self, name: str, password: str, role: str, remote: bool = False) -> None:
        if role not in ROLES:
            raise ValueError(f"role {role} is unknown; there are {', '.join(ROLES)}")
        self.users[name] = User(name, password, role, remote)

    # --- who asks -----------------------------------------------------------------------------------------------

    def authenticate(self, request: Request) -> User:
        token, basic = request.headers.get("x-f5-auth-token"), request.headers.get("authorization")
        if token and basic:
            if self.options.strict_credentials:
                raise strict("Basic and X-F5-Auth-Token in one request")
            if self.options.credentials_precedence == "basic":
                token = None
        if token:
            return self.by_token(token)
        if basic:
            return self.by_password(request, basic)
        raise Denied(401, "Authorization failed: no user authentication header or token detected. "
                          f"Uri:http://localhost:8100{request.path} Referrer:{request.sender} Sender:{request.sender}")

    def by_token(self, name: str) -> User:
        self.forget_expired()
        if name in self.tokens:
            return self.tokens[name].user
        if name in self.expired:
            raise Denied(401, "X-F5-Auth-Token has expired.")
        raise Denied(401, "X-F5-Auth-Token does not exist.")

    def by_password(self, request: Request, header: str) -> User:
        kind, _, encoded = header.partition(" ")
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            name, password = "", ""
        user = self.users.get(name)
        if kind.lower() != "basic" or user is None or user.password != password or user.remote:
            self.failed_logins += 1
            raise self.wrong_password(name)
        return user

    def wrong_password(self, name: str) -> Denied | Page:
        if self.version.number < (13, 0):
            return Page(401, "Authorization Required")
        body = '{"username":"%s","loginProviderName":"tmos"}' % urllib.parse.quote(name)
        return Denied(401, "Authentication failed.", "F5 Authorization Required", body)

    def authorize(self, user: User, request: Request) -> None:
        """A role that is too low is 401, not 403."""
        if self.permits(user.role, request):
            return
        raise Denied(401, f"Authorization failed: user=https://localhost/mgmt/shared/authz/users/{user.name} "
                          f"resource={request.path} verb={request.method} uri:http://localhost:8100{request.path} "
                          f"referrer:{request.sender} sender:{request.sender}")

    def permits(self, role: str, request: Request) -> bool:
        path = request.path
        if path.startswith(UPLOADS):
            return role in self.options.upload_roles
        if path == REMOVE_FILE:
            return role in self.options.remove_file_roles
        if request.method == "GET" or path.startswith("/mgmt/shared/authz/tokens"):
            return True
        if role == "certificate-manager":
            return path.startswith(CERTIFICATE_ADDRESSES)
        return role not in READERS

    # --- tokens -------------------------------------------------------------------------------------------------

    def log_in(self, request: Request) -> Json:
        body = parse_object(request.body)
        name, provider = str(body.get("username", "")), body.get("loginProviderName")
        user = self.users.get(name)
        if provider is not None and provider not in self.options.login_providers:
            raise Denied(401, "loginProviderName is invalid.")
        if user is None or user.password != body.get("password"):
            self.failed_logins += 1
            raise self.wrong_password(name)
        if provider is None and (user.remote or self.options.provider_needed):
            raise Denied(400, "simulator: loginProviderName is missing")
        token = self.issue(user, request.sender)
        return {"username": name, "loginReference": {"link": f"{PROVIDER}/login"},
                "loginProviderName": provider or "tmos", "token": self.show(token),
                "generation": 0, "lastUpdateMicros": 0}

    def issue(self, user: User, sender: str) -> Token:
        self.forget_expired()
        held = sum(token.user is user for token in self.tokens.values())
        if self.version.limits_tokens and user.name != BUILT_IN and held >= self.options.token_limit:
            ident = uuid.uuid5(uuid.NAMESPACE_URL, user.name)
            raise Denied(400, f"user {ident} has reached maximum active login tokens")
        now = self.clock.now()
        name = base64.b32encode(secrets.token_bytes(20)).decode()[:26]
        token = self.tokens[name] = Token(name, user, now, TOKEN_SECONDS, now, now, sender)
        self.most_tokens = max(self.most_tokens, len(self.tokens))
        return token

    def forget_expired(self) -> None:
        now = self.clock.now()
        for name in [token.name for token in self.tokens.values() if token.expires <= now]:
            self.expire(name)

    def expire(self, name: str) -> None:
        if self.tokens.pop(name, None):
            self.expired[name] = None
            while len(self.expired) > REMEMBERED_TOKENS:
                self.expired.popitem(last=False)

    def find(self, user: User, name: str) -> Token:
        self.forget_expired()
        token = self.tokens.get(name)
        if token is None:
            raise Denied(404, f"Object not found - {name}")
        if token.user is not user and user.role != "admin":
            raise Denied(400, "simulator: this token belongs to another user")
        return token

    def of(self, user: User) -> list[Token]:
        self.forget_expired()
        return [token for token in self.tokens.values() if token.user is user]

    def extend(self, user: User, name: str, body: Json) -> Json:
        token = self.find(user, name)
        try:
            timeout = int(str(body["timeout"]))
        except (KeyError, ValueError):
            raise Denied(400, "simulator: timeout is a number of seconds") from None
        if timeout > LONGEST_TOKEN_SECONDS:
            raise Denied(406, f"Auth-token absolute timeout ({LONGEST_TOKEN_SECONDS} seconds) exceeded")
        token.timeout, token.changed = timeout, self.clock.now()
        if self.options.token_extension_from == "patch":
            token.counted_from = token.changed
        token.generation += 1
        return self.show(token)

    def delete(self, user: User, name: str) -> Json:
        token = self.find(user, name)
        del self.tokens[token.name]
        return self.show(token)

    def purge(self, user: User) -> Json:
        gone = list(self.tokens.values()) if self.options.token_purge == "all" else self.of(user)
        for token in gone:
            del self.tokens[token.name]
        return self.collection(gone)

    def collection(self, tokens: list[Token]) -> Json:
        return {"items": [self.show(token) for token in tokens], "generation": len(tokens),
                "kind": "shared:authz:tokens:authtokencollectionstate", "lastUpdateMicros": micros(self.clock.now()),
                "selfLink": f"{names.BASE}/shared/authz/tokens"}

    def show(self, token: Token) -> Json:
        user: Json = {"link": f"{names.BASE}/shared/authz/users/{token.user.name}"}
        shown = {"token": token.name, "name": token.name, "userName": token.user.name, "authProviderName": "tmos",
                 "user": user, "timeout": token.timeout, "startTime": milliseconds_text(token.created),
                 "address": token.address, "partition": "[All]", "generation": token.generation,
                 "lastUpdateMicros": micros(token.changed), "expirationMicros": micros(token.expires),
                 "kind": "shared:authz:tokens:authtokenitemstate",
                 "selfLink": f"{names.BASE}/shared/authz/tokens/{token.name}"}
        if token.user.remote:
            ident = uuid.uuid5(uuid.NAMESPACE_URL, token.user.name)
            user["link"] = f"{PROVIDER}/users/{ident}"
            shown["groupReferences"] = [{"link": f"{PROVIDER}/user-groups/{ident}"}]
        return shown
