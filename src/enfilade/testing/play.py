"""What a stage starts, whatever its shape: the app, its configuration and its time; and its parts in several processes.

The parts are those of a plan: each service has a process, and the test is one more, with its fakes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from enfilade.app import App, stations
from enfilade.clock import VirtualClock
from enfilade.config import Config
from enfilade.contract.read import read
from enfilade.errors import Finding
from enfilade.placement import Share, refuse
from enfilade.plan import Plan, plan_of
from enfilade.plan.edge import EDGE
from enfilade.plan.share import Told, share_of
from enfilade.running import Running
from enfilade.secrets import Source
from enfilade.testing.book import Book
from enfilade.testing.count import Count
from enfilade.testing.spoken import Spoken

TESTS: Final = "tests"
"""The test, as a peer and as a process."""
SECRETS: Final = "secrets"
"""The folder of secrets, in the stage's own."""
DRAIN: Final = 0.2
"""Seconds for calls that are under way when a test is over."""


@dataclass
class Play:
    """One stage's."""

    app: App
    """The stage's own copy."""
    original: App
    """What it is a copy of."""
    config: Config
    clock: VirtualClock
    seed: int
    book: Book
    secrets: Spoken
    fakes: Set[Any]
    """The contracts that the test itself serves."""
    count: Count = field(default_factory=Count)

    def part(self, share: Share, services: Set[str]) -> App:
        """The app, as one process has it that serves these."""
        app = copy.copy(self.app)
        app.config, app.clock, app.share = self.config, self.clock, share
        app.builders = {kind: build for kind, build in app.builders.items() if read(kind).name in services}
        return app

    def lay_out(self, *, front: bool = False, edge: str = "") -> Laid:
        """The processes of the app. Raises StartError with all that is wrong.

        With `front` the test is the front, too; `edge` is what runs before the front, as plans say it.
        """
        self._apart()
        fakes = [read(one).name for one in self.app.services if one in self.fakes]
        lines = ["[stage]", 'extends = "split"']
        if fakes or front:
            lines += [f"[stage.process.{TESTS}]", f"services = {json.dumps(fakes)}", f"front = {json.dumps(front)}"]
        if edge:
            lines += ["[stage.edge]", f"run = {json.dumps(edge)}"]
        file = Path(self.config.folder) / "plan.toml"
        file.write_text("\n".join(lines))
        return Laid(plan_of(self.app, "stage", file, lambda _: self.config), self.config.folder)

    def _apart(self) -> None:
        """The configuration as several processes can have it."""
        refuse([one for kind in self.app.services if kind in self.fakes for one in _lacking(self.app, kind)])
        built = {read(one).name for one in self.app.builders if one in self.app.services}
        service = {
            name: {key: value for key, value in said.items() if key != "at" or name not in built}
            for name, said in self.config.service.items()
        }
        blobs = self.config.blobs or f"{self.config.folder}/blobs"
        self.config = self.app.config = changed(self.config, service=service, blobs=blobs)


class Laid:
    """Which process has what."""

    def __init__(self, plan: Plan, folder: str) -> None:
        self.layout = plan.layout
        self.processes = tuple(name for name in plan.layout.processes if name not in (TESTS, EDGE))
        """All but the test, and Envoy."""
        self._told = Told(plan=plan, over={})
        self._folder = folder

    def services(self, process: str) -> Set[str]:
        """What a process serves."""
        known = self.layout.processes
        return frozenset(known[process].services) if process in known else frozenset()

    def share(self, process: str) -> Share:
        """What a process is told of the others. The test is as a front without services, where it serves no fakes."""
        if process in self.layout.processes:
            return share_of(self._told, process, self._folder)
        return replace(
            share_of(self._told, self.layout.front, self._folder), process=process, replica=process, front=False
        )


def quiet(app: App, book: Book, secrets: Source) -> Running:
    """An app, not started yet, in which nothing happens by itself."""
    config = app.config or Config()
    return Running(app, config, stations, background=False, topic=book.topic, outsiders=[TESTS], sources=[secrets])


def _lacking(app: App, kind: Any) -> Iterator[Finding]:
    """What others may call of a fake, and it does not have."""
    fake = app.builders[kind]()
    for one in read(kind).operations:
        if not callable(getattr(fake, one.name, None)):
            what = f"it has no {one.name}, and is to be called for {one.id} by other processes."
            yield Finding(f"the fake {type(fake).__name__}", what, f"Give it what {kind.__name__} has.", "fake")


def changed(config: Config, **fields: Any) -> Config:
    """The same configuration with other values."""
    return msgspec.structs.replace(cast("Any", config), **fields)
