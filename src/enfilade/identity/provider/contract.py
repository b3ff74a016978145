"""The provider: lets people in, and gives tokens to the programs that act for them."""

from __future__ import annotations

from typing import Protocol

from enfilade.contract.declare import command, contract, query
from enfilade.contract.limit import Rate
from enfilade.contract.marks import Key, Sensitive
from enfilade.contract.need import anyone, peers
from enfilade.identity.people import LoginRefused
from enfilade.identity.provider.messages import (
    Answer,
    ClientMetadata,
    Credentials,
    DeviceAnswer,
    Goal,
    Introspection,
    KeySet,
    LogoutRequest,
    Metadata,
    Registered,
    TokenAnswer,
    TokenRequest,
    UserInfo,
)
from enfilade.identity.provider.problems import BadClient, BadToken, FormRefused, Refused

_PAGES = Rate("120/minute", per="address")
_PASSWORDS = Rate("60/minute", per="address", burst=20)
_TOKENS = Rate("3000/minute", per="address")
_DEVICES = Rate("60/minute", per="address")
_REGISTER = Rate("10/minute", per="address")


@contract(needs=anyone, owner="platform")
class Provider(Protocol):
    """An OpenID provider. Its operations have no routes: `endpoint/openid` has the addresses of the standards.

    `browser` is a browser's cookie, `form` what was in the form that it sends. Who calls proves it in the arguments, as
    the standards say, so the operations need `anyone`.
    """

    @query()
    async def metadata(self) -> Metadata:
        """What the provider can do and where."""
        ...

    @query()
    async def keys(self) -> KeySet:
        """The public keys, those that do not sign yet and those that do no more among them."""
        ...

    @command(raises=[Refused], rate=_PAGES)
    async def enter(self, goal: Goal, browser: Sensitive[str] = "") -> Answer:
        """Somebody comes with a request; Refused where it may not even be answered to who sent it."""
        ...

    @command(raises=[Refused, FormRefused, LoginRefused], rate=_PASSWORDS)
    async def sign_in(
        self, goal: Goal, browser: Sensitive[str], form: Sensitive[str], login: Sensitive[str], password: Sensitive[str]
    ) -> Answer:
        """Somebody proves who he is."""
        ...

    @command(raises=[Refused, FormRefused], rate=_PAGES)
    async def decide(self, goal: Goal, browser: Sensitive[str], form: Sensitive[str], allow: bool) -> Answer:
        """Somebody says whether a client may act for him."""
        ...

    @command(raises=[FormRefused], rate=_PAGES)
    async def log_out(self, request: LogoutRequest, browser: Sensitive[str] = "", form: Sensitive[str] = "") -> Answer:
        """Somebody signs out of this browser."""
        ...

    @command(raises=[Refused, BadClient], rate=_TOKENS)
    async def token(self, request: TokenRequest, client: Credentials) -> TokenAnswer:
        """Tokens for a grant."""
        ...

    @command(raises=[Refused, BadClient], rate=_DEVICES)
    async def device(self, client: Credentials, scope: str = "", resource: tuple[str, ...] = ()) -> DeviceAnswer:
        """A device wants to be let in."""
        ...

    @query(raises=[BadToken], rate=_TOKENS)
    async def userinfo(self, token: Sensitive[str]) -> UserInfo:
        """Who a token is about."""
        ...

    @query(raises=[BadClient], rate=Rate("6000/minute", per="address"))
    async def introspect(self, token: Sensitive[str], client: Credentials) -> Introspection:
        """Whether a token is good."""
        ...

    @command(raises=[BadClient], rate=_TOKENS)
    async def revoke(self, token: Sensitive[str], client: Credentials) -> None:
        """A token is not needed any more, with all that came of the same sign-in."""
        ...

    @command(raises=[Refused, BadToken], rate=_REGISTER)
    async def register(self, client: ClientMetadata, token: Sensitive[str] = "") -> Registered:
        """A client registers itself."""
        ...

    # -- what the provider asks of itself, each a unit of work of its own

    @command(needs=peers)
    async def make_keys(self) -> None:
        """Make the keys that are missing."""
        ...

    @command(needs=peers)
    async def forget(self) -> bool:
        """Forget some of what has expired; whether there is more of it."""
        ...

    @command(needs=peers)
    async def spend(self, id: Key[str], seconds: int) -> bool:
        """Take something that is good once; False where it was taken before."""
        ...
