"""What is said to the provider and by it. Names are those of the standards, so that they go to the wire as they are."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from enfilade.contract.marks import Sensitive
from enfilade.contract.message import Message

BEARER: Final = "Bearer"
"""Whoever has such a token may use it (RFC 6750)."""

# -- what everybody may know


class Jwk(Message):
    """A public key (RFC 7517)."""

    kty: str
    kid: str
    alg: str
    use: str = "sig"
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class KeySet(Message):
    """The keys that tokens may be signed with."""

    keys: tuple[Jwk, ...]


class Metadata(Message):
    """What the provider can do and where (OpenID Connect Discovery 1.0, RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    registration_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    device_authorization_endpoint: str
    end_session_endpoint: str
    scopes_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    id_token_signing_alg_values_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...] = ("code",)
    response_modes_supported: tuple[str, ...] = ("query",)
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    subject_types_supported: tuple[str, ...] = ("public",)
    claims_supported: tuple[str, ...] = (
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "name",
        "email",
    )
    prompt_values_supported: tuple[str, ...] = ("none", "login", "consent", "select_account")
    authorization_response_iss_parameter_supported: bool = True
    request_parameter_supported: bool = False
    request_uri_parameter_supported: bool = False
    claims_parameter_supported: bool = False


# -- the browser


class AuthorizationRequest(Message, tag="authorization", tag_field="goal"):
    """A client sends somebody to sign in (RFC 6749, 4.1.1; OpenID Connect Core, 3.1.2.1). `resource` as RFC 8707."""

    client_id: str = ""
    redirect_uri: str = ""
    response_type: str = ""
    response_mode: str = ""
    scope: str = ""
    state: str = ""
    nonce: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""
    prompt: str = ""
    max_age: str = ""
    login_hint: str = ""
    acr_values: str = ""
    resource: tuple[str, ...] = ()
    request: str = ""
    request_uri: str = ""
    tenant: str = ""
    """Whose people may sign in, at a client that is everybody's."""


class DeviceRequest(Message, tag="device", tag_field="goal"):
    """Somebody types in what a device shows (RFC 8628, 3.3)."""

    user_code: Sensitive[str] = ""


Goal: TypeAlias = AuthorizationRequest | DeviceRequest
"""What somebody came to the provider for."""


class LogoutRequest(Message):
    """A client sends somebody to sign out (OpenID Connect RP-Initiated Logout 1.0)."""

    id_token_hint: Sensitive[str] = ""
    client_id: str = ""
    post_logout_redirect_uri: str = ""
    state: str = ""


class Redirect(Message, tag="redirect"):
    """To the client, with a code or an error."""

    location: Sensitive[str]


class SignIn(Message, tag="sign_in"):
    """Ask for name and password."""

    client: str
    hint: str = ""
    form: Sensitive[str]
    """Proves that the form was ours and in this browser."""
    target: str = ""
    """Where the browser goes in the end; for the page's policy."""


class Consent(Message, tag="consent"):
    """Ask whether the client may."""

    client: str
    scopes: tuple[str, ...]
    person: str
    user_code: Sensitive[str] = ""
    form: Sensitive[str]
    target: str = ""


class AskCode(Message, tag="ask_code"):
    """Ask for the code that the device shows."""

    wrong: bool = False


class AskLogout(Message, tag="ask_logout"):
    """Ask whether to sign out."""

    form: Sensitive[str]
    target: str = ""


class Done(Message, tag="done"):
    """Nothing more to do in this browser."""

    what: Literal["allowed", "denied", "signed-out"]


Step: TypeAlias = Redirect | SignIn | Consent | AskCode | AskLogout | Done


class Answer(Message):
    """What the browser does next."""

    step: Step
    browser: Sensitive[str] = ""
    """Its new cookie; empty where it keeps the one that it has."""


# -- clients


class Credentials(Message):
    """How a client says who it is: one of a secret, an assertion (RFC 7523) and nothing."""

    client_id: str = ""
    client_secret: Sensitive[str] = ""
    client_assertion: Sensitive[str] = ""


class TokenRequest(Message):
    """What a token is asked for, of any grant."""

    grant_type: str = ""
    code: Sensitive[str] = ""
    redirect_uri: str = ""
    code_verifier: Sensitive[str] = ""
    refresh_token: Sensitive[str] = ""
    device_code: Sensitive[str] = ""
    scope: str = ""
    resource: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    subject_token: Sensitive[str] = ""
    subject_token_type: str = ""
    actor_token: Sensitive[str] = ""
    actor_token_type: str = ""
    requested_token_type: str = ""


class TokenAnswer(Message):
    """Tokens (RFC 6749, 5.1)."""

    access_token: Sensitive[str]
    token_type: str = BEARER
    expires_in: int
    scope: str = ""
    refresh_token: Sensitive[str] = ""
    id_token: Sensitive[str] = ""
    issued_token_type: str = ""


class DeviceAnswer(Message):
    """What a device shows and asks with (RFC 8628, 3.2)."""

    device_code: Sensitive[str]
    user_code: Sensitive[str]
    verification_uri: str
    verification_uri_complete: Sensitive[str]
    expires_in: int
    interval: int


class UserInfo(Message):
    """What a client may know of the person (OpenID Connect Core, 5.3)."""

    sub: str
    name: Sensitive[str] = ""
    email: Sensitive[str] = ""
    email_verified: bool | None = None
    tenant: str = ""


class Act(Message):
    """Who acts for somebody, and for whom he acts in turn (RFC 8693, 4.1)."""

    sub: str
    act: Act | None = None


class Introspection(Message):
    """What a token is, to who may know it (RFC 7662)."""

    active: bool
    scope: str = ""
    client_id: str = ""
    sub: str = ""
    aud: tuple[str, ...] = ()
    iss: str = ""
    exp: int | None = None
    iat: int | None = None
    jti: str = ""
    token_type: str = ""
    tenant: str = ""
    act: Act | None = None


class ClientMetadata(Message):
    """What a client says of itself (RFC 7591, 2); what is not known here is passed over by the endpoint."""

    client_name: str = ""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105  (a method's name)
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)
    scope: str = ""
    jwks: str = ""
    """Its public keys, as JSON; for `private_key_jwt`."""


class Registered(Message):
    """A client, and its secret, which is told once."""

    client_id: str
    client_secret: Sensitive[str] = ""
    client_id_issued_at: int
    client_secret_expires_at: int = 0
    client_name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: str
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...] = ("code",)
    scope: str
