"""What an operator may say about a running app: `enfilade.toml`, and environment variables over it.

    development = false
    data = "postgresql://shop@db/shop"

    [service.payments]          # the settings class of that service
    retries = 2

    [service.psp]               # served elsewhere
    at = "https://psp.example"

A variable is named `ENFILADE_` and the key, with `__` between levels: `ENFILADE_SERVICE__PAYMENTS__RETRIES=3`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

from enfilade.errors import Finding, StartError
from enfilade.identity import Issuer
from enfilade.settings import Settings

S = TypeVar("S", bound="Settings")

_Some = Annotated[int, msgspec.Meta(ge=1)]
_Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class TraceConfig(Settings):
    """What is recorded and where it goes."""

    enabled: bool = True
    sample: _Part = 1.0
    """Part of all traces that is kept, 0 to 1; failed calls always are."""
    otlp: str = ""
    """Base URL of an OpenTelemetry collector, such as `http://127.0.0.1:4318`; empty sends nothing."""
    file: bool = True
    """Whether recent traces are kept under `<folder>/traces`, for `enfilade trace`."""


class OutboundConfig(Settings):
    """Where services may go by `Http`, besides public addresses."""

    allow: tuple[str, ...] = ()
    """Hosts, addresses and networks, with a port or for all of them: `psp.internal:8443`, `10.2.0.0/16`."""
    ports: tuple[_Port, ...] = (80, 443)
    """Ports of public addresses."""


class AuditConfig(Settings):
    """What is kept of who did what."""

    file: bool = True
    """Whether it is written under `<folder>/audit`, for `enfilade audit verify`."""
    size: Annotated[int, msgspec.Meta(ge=4096)] = 64 * 1024**2
    """Bytes of a file before a new one is begun; each day has one of its own."""


class SessionConfig(Settings):
    """Of services that let people in by a cookie."""

    life: Annotated[float, msgspec.Meta(gt=0)] = 43200.0
    """Seconds after which a session is over."""
    origins: tuple[str, ...] = ()
    """Whose pages may send commands, beside the app's own: `https://admin.example`."""


class Config(Settings):
    """All that an operator may say, with the defaults of a developer's machine."""

    development: bool = True
    """On: a development issuer, additive migrations at start, calls through the codec, readable logs."""
    folder: str = ".enfilade"
    """Where the platform keeps its files."""
    data: str = ""
    """Where services keep their rows: `sqlite:<path with {service}>`, `sqlite::memory:` or `postgresql://...`."""
    stores: Mapping[str, str] = {}
    """The same for single services, by their names."""
    blobs: str = ""
    """The folder of the files that services keep; by default `<folder>/blobs`."""
    events: str = ""
    """What carries events between processes: `nats://host:4222`; empty, they stay within the process."""
    synchronous: Literal["full", "normal"] = "full"
    """SQLite: `full` survives a power cut, `normal` a killed process only."""
    codec: Literal["always", "never", ""] = ""
    """Whether in-process calls go through the codec; by default in development only."""
    issuers: tuple[Issuer, ...] = ()
    """Who may sign tokens; the development issuer is added in development."""
    audience: str = ""
    """The audience that tokens must name; by default the app's name."""
    secret: str = ""
    """Seals cursors and the audit; required outside development, 32 characters or more."""
    secrets: str | tuple[str, ...] = ""
    """Where secrets come from, the first that has one: `env`, `files:<folder>`, `age:<file>`, `vault:<url>`,
    `lease:<url>`; by default `env`. As text they are parted by blanks; a folder alone means `env` and that folder."""
    concurrency: _Some = 128
    """Calls from outside that one service serves at once; more wait briefly, then are refused with 503."""
    threads: _Some = 16
    """Threads of each service that asks for `Threads`."""
    processes: _Some = 2
    """Processes of each service that asks for `Processes`."""
    drain: _Seconds = 10.0
    """Seconds that a shutdown may take to finish what runs and to deliver what was published."""
    url: str = ""
    """What the app is reached by from outside: `https://shop.example`. By default what each request was sent to."""
    host: str = "127.0.0.1"
    port: _Port = 8080
    log: Literal["console", "json", ""] = ""
    """How logs are written; by default `console` in development and `json` elsewhere."""
    trace: TraceConfig = TraceConfig()
    audit: AuditConfig = AuditConfig()
    sessions: SessionConfig = SessionConfig()
    outbound: OutboundConfig = OutboundConfig()
    service: Mapping[str, Mapping[str, Any]] = {}
    """`[service.<name>]`: the settings of each service, and `at = "<url>"` for one that is served elsewhere."""

    @property
    def data_url(self) -> str:
        return self.data or f"sqlite:{self.folder}/data/{{service}}.db"

    def data_of(self, service: str) -> str:
        """Where one service keeps its rows."""
        return self.stores.get(service) or self.data_url

    @property
    def address(self) -> str:
        """What the app is reached by: `url`, or where it listens, as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  (not bound to)
        return self.url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def isolate(self) -> bool:
        """Whether in-process calls go through the codec."""
        return self.codec == "always" or (self.codec == "" and self.development)

    @property
    def secret_sources(self) -> tuple[str, ...]:
        """Where secrets come from, in order."""
        said = self.secrets.split() if isinstance(self.secrets, str) else self.secrets
        if isinstance(self.secrets, str) and len(said) == 1 and (":" not in said[0] and said[0] != "env"):
            return ("env", f"files:{said[0]}")
        return tuple(said) or ("env",)

    def settings(self, service: str, kind: type[S]) -> S:
        """The settings of one service, typed. Raises StartError with what is wrong and where."""
        said = {key: value for key, value in self.service.get(service, {}).items() if key != "at"}
        return _convert(said, kind, f"[service.{service}]")

    def at(self, service: str) -> str:
        """The URL of a service that is served elsewhere, or `""`."""
        return str(self.service.get(service, {}).get("at", ""))


def load(
    path: Path | None = None, environ: Mapping[str, str] | None = None, over: Mapping[str, Any] | None = None
) -> Config:
    """The configuration of `enfilade.toml` in the working folder (or `path`), with the environment over it.

    `over` is laid between the two: what a plan says.
    """
    file = path or Path("enfilade.toml")
    said: dict[str, Any] = {}
    if file.exists():
        try:
            said = tomllib.loads(file.read_text("utf-8"))
        except tomllib.TOMLDecodeError as wrong:
            raise StartError([Finding(str(file), f"this is not TOML: {wrong}", "Mend the line it names.")]) from wrong
        except (OSError, UnicodeDecodeError) as wrong:
            remedy = "Make it a file in UTF-8 that this user may read, or take it away."
            raise StartError([Finding(str(file), f"this cannot be read: {wrong}.", remedy, "settings")]) from wrong
    _merge(said, over or {})
    spoken = {
        name: value
        for name, value in (os.environ if environ is None else environ).items()
        if name.startswith("ENFILADE_")
    }
    for name, value in spoken.items():
        _lay_over(said, name.removeprefix("ENFILADE_").lower().split("__"), value)
    return _convert(said, Config, str(file), tuple(spoken))


def _merge(said: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(below := said.setdefault(key, {}), dict):
            _merge(cast("dict[str, Any]", below), cast("Mapping[str, Any]", value))
        else:
            said[key] = value


def _lay_over(said: dict[str, Any], path: list[str], value: str) -> None:
    *levels, last = path
    if not levels and last not in cast("Any", Config).__struct_fields__:
        return  # variables of other tools, and of secrets
    for level in levels:
        below = said.setdefault(level, {})
        if not isinstance(below, dict):
            return
        said = cast("dict[str, Any]", below)
    said[last] = value


def _convert(said: Mapping[str, Any], kind: type[S], where: str, names: Sequence[str] = ()) -> S:
    try:
        return msgspec.convert(said, kind, strict=False)
    except msgspec.ValidationError as wrong:
        place = re.search(r"at `\$\.([a-z_.]+)", str(wrong))
        name = f"ENFILADE_{place[1].replace('.', '__')}".upper() if place else "-"
        where = next((one for one in names if one.upper().startswith(name)), where)  # what was said last is wrong
        known = ", ".join(cast("Any", kind).__struct_fields__)
        raise StartError(
            [Finding(where, str(wrong), f"{kind.__name__} knows: {known or 'nothing'}.", "settings")]
        ) from wrong
