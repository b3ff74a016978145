"""The pages that people see: plain HTML, no scripts, nothing from elsewhere. Every text is escaped here."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html import escape
from typing import Any, Final, cast

from enfilade.identity.provider.messages import (
    AskCode,
    AskLogout,
    Consent,
    Done,
    Goal,
    LogoutRequest,
    SignIn,
)

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #fff; --ground: #eef1f5; --line: #cfd6df;
  --main: #1f5fbf; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --paper: #1b212a; --ground: #11151b;
  --line: #394353; --main: #6ea3f5; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: 2rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: .75rem; overflow-wrap: anywhere; }
header { color: var(--soft); font-size: .875rem; }
h1 { margin: .25rem 0 1rem; font-size: 1.375rem; line-height: 1.25; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .5rem; }
input:focus, button:focus { outline: 2px solid var(--main); outline-offset: 1px; }
button { width: 100%; margin-top: 1rem; padding: .65rem; font: inherit; font-weight: 600; cursor: pointer;
  border: 1px solid var(--main); border-radius: .5rem; color: var(--paper); background: var(--main); }
button.quiet { color: inherit; background: transparent; border-color: var(--line); }
ul { padding-left: 1.25rem; }
.bad { color: var(--bad); }
.code { font: 600 1.5rem/1.5 ui-monospace, monospace; letter-spacing: .1em; }
"""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_SOURCE: Final = re.compile(r"https?://[\w.\-:\[\]]+|[a-z][a-z0-9+.\-]*:")
_SCOPES: Final = {
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your e-mail address",
    "offline_access": "Do so while you are away",
}


def policy(target: str = "") -> str:
    """The page's policy (CSP): its own style and nothing else, in nobody's frame, forms go here alone.

    Browsers apply it to where an answer sends them on, too, so the client that waits for the answer is named.
    """
    source = f" {target}" if _SOURCE.fullmatch(target) else ""
    return (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'{source}; frame-ancestors 'none'; "
        f"base-uri 'none'"
    )


def sign_in(title: str, path: str, step: SignIn, goal: Goal, *, wrong: bool = False) -> str:
    """Name and password."""
    to = f"To go on to <b>{escape(step.client)}</b>." if step.client else ""
    bad = '<p class="bad" role="alert">Name or password is wrong.</p>' if wrong else ""
    focus = ("", " autofocus") if step.hint else (" autofocus", "")
    return _page(
        title,
        "Sign in",
        f"""<p>{to}</p>{bad}
<form method="post" action="{escape(path)}/sign-in">{_hidden(goal)}{_field("form", step.form)}
<label for="login">Name or e-mail address</label>
<input id="login" name="login" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="254"
 required{focus[0]} value="{escape(step.hint)}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024"
 required{focus[1]}>
<button>Sign in</button></form>""",
    )


def consent(title: str, path: str, step: Consent, goal: Goal) -> str:
    """May the client."""
    listed = "".join(f"<li>{escape(_SCOPES.get(one, one))}</li>" for one in step.scopes)
    code = ""
    if step.user_code:
        code = (
            f'<p>Go on only if your device shows <span class="code">{escape(step.user_code)}</span> '
            "and you have just asked for it.</p>"
        )
    return _page(
        title,
        f"Let {step.client} in?",
        f"""<p>You are signed in as <b>{escape(step.person)}</b>. <b>{escape(step.client)}</b> wants to act for you:</p>
<ul>{listed or "<li>Sign you in</li>"}</ul>{code}
<form method="post" action="{escape(path)}/consent">{_hidden(goal)}{_field("form", step.form)}
<button name="allow" value="yes">Allow</button><button name="allow" value="no" class="quiet">Deny</button></form>""",
    )


def ask_code(title: str, path: str, step: AskCode) -> str:
    """The code that a device shows."""
    bad = '<p class="bad" role="alert">This code is not known, or it was too late.</p>' if step.wrong else ""
    return _page(
        title,
        "Let a device in",
        f"""{bad}<form method="post" action="{escape(path)}/device">
<label for="user_code">The code that your device shows</label>
<input id="user_code" name="user_code" class="code" autocomplete="off" autocapitalize="characters" spellcheck="false"
 maxlength="16" required autofocus>
<button>Go on</button></form>""",
    )


def ask_logout(title: str, path: str, step: AskLogout, request: LogoutRequest) -> str:
    """Really?"""
    return _page(
        title,
        "Sign out?",
        f"""<form method="post" action="{escape(path)}/logout">{_hidden(request)}{_field("form", step.form)}
<button>Sign out</button></form>""",
    )


def done(title: str, step: Done) -> str:
    """Nothing more to do."""
    heading, text = {
        "allowed": ("Your device is in", "You can close this page and go on there."),
        "denied": ("The device was refused", "You can close this page."),
        "signed-out": ("You are signed out", "You can close this page."),
    }[step.what]
    return _page(title, heading, f"<p>{text}</p>")


def refused(title: str, text: str, trace: str = "") -> str:
    """It cannot be done, and there is nobody to tell but the one who reads it."""
    more = f"<p>Reference: {escape(trace)}</p>" if trace else ""
    return _page(title, "This did not work", f'<p role="alert">{escape(text)}</p>{more}')


def _page(title: str, heading: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{escape(heading)} - {escape(title)}</title><style>{STYLE}</style></head>
<body><main><header>{escape(title)}</header><h1>{escape(heading)}</h1>
{content}
</main></body></html>
"""


def _hidden(said: Goal | LogoutRequest) -> str:
    """The request, carried on by the form."""
    fields = {name: cast("object", getattr(said, name)) for name in cast("Any", type(said)).__struct_fields__}
    return "".join(
        _field(name, one)
        for name, value in fields.items()
        for one in (cast("Iterable[str]", value) if isinstance(value, tuple) else (str(value),))
        if one
    )


def _field(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
