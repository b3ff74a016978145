"""Logging in, as a web page of the shop does it: the browser goes to the provider, and comes back with a code.

session = await log_in(http, "ann@example.com", "correct horse")
http.headers["authorization"] = f"Bearer {session.access_token}"
"""

import base64
import hashlib
import secrets
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

import httpx2

from enfilade import Message, Sensitive
from enfilade.contract.codec import codec

CLIENT, BACK = "web", "http://127.0.0.1/back"
"""Who asks, and where the browser comes back to: see enfilade.toml."""


class Session(Message):
    """What the shop's page keeps of a log-in (RFC 6749, 5.1)."""

    access_token: Sensitive[str]
    token_type: str
    expires_in: int
    scope: str
    refresh_token: Sensitive[str] = ""
    id_token: Sensitive[str] = ""


class NotLoggedIn(Exception):
    """The provider did not send the browser back with a code."""


async def log_in(http: httpx2.AsyncClient, email: str, password: str, scope: str = "openid orders:write") -> Session:
    """Log somebody in by the code flow with PKCE, in a browser that was just opened. Raises NotLoggedIn."""
    http.cookies.clear()
    state, verifier = secrets.token_urlsafe(), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    request = {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "scope": scope, "state": state,
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    page = await http.get("/authorize", params=request)
    form = Form(page.text)
    answer = await http.post(form.action, data={**form.fields, "login": email, "password": password})
    back = dict(parse_qsl(urlsplit(answer.headers.get("location", "")).query))
    if back.get("state") != state or "code" not in back:
        raise NotLoggedIn(back.get("error") or f"the page said {answer.status_code}")
    exchange = {
        "grant_type": "authorization_code", "client_id": CLIENT, "redirect_uri": BACK, "code": back["code"],
        "code_verifier": verifier,
    }  # fmt: skip
    told = await http.post("/token", data=exchange)
    return codec(Session).decode(told.raise_for_status().content)


class Form(HTMLParser):
    """The form on a page: where it is sent, and what is filled in already."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = said["action"]
        elif tag == "input" and "name" in said:
            self.fields[said["name"]] = said.get("value", "")
