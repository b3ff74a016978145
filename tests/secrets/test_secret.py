"""A secret: asked for by name, bound by injection, shown nowhere."""

from __future__ import annotations

import asyncio
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, final

import pytest

from enfilade import App, Message, anyone, contract, query
from enfilade.clock import SystemClock, VirtualClock
from enfilade.config import Config, load
from enfilade.errors import Misuse, StartError
from enfilade.govern import check
from enfilade.secrets import Secrets
from enfilade.secrets.source import sources_of
from enfilade.service import Secret
from enfilade.testing import Bench, Stage


class Answer(Message):
    text: str


@contract(needs=anyone)
class Tower(Protocol):
    @query("GET /tower")
    async def look(self) -> Answer: ...


class Moat:
    """A resource that has a secret of its own."""

    def __init__(self, key: Secret = Secret("moat/key")) -> None:
        self.key = key

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


@final
@dataclass
class TowerService(Tower):
    moat: Moat
    psp_key: Secret = Secret("payments/psp-key")
    spare: Secret | None = Secret("tower/spare")

    async def look(self) -> Answer:
        spare = "no spare" if self.spare is None else await self.spare.reveal()
        return Answer(text=f"{await self.psp_key.reveal()} {await self.moat.key.reveal()} {spare}")


@contract(needs=anyone)
class Gate(Protocol):
    @query("GET /gate")
    async def open(self) -> Answer: ...


@dataclass
class GateService(Gate):
    key: Secret = Secret("gate/key")

    async def open(self) -> Answer:
        return Answer(text=await self.key.reveal())


async def test_a_service_is_given_the_secrets_that_its_defaults_name() -> None:
    async with Bench(TowerService).secret("payments/psp-key", "hush").secret("moat/key", "water") as bench:
        assert (await bench.nobody.of(Tower).look()).text == "hush water no spare"


async def test_a_secret_that_may_be_absent_is_none_only_where_it_is() -> None:
    bench = Bench(TowerService).secret("payments/psp-key", "hush").secret("moat/key", "water")
    async with bench.secret("tower/spare", "spare"):
        assert (await bench.nobody.of(Tower).look()).text == "hush water spare"


async def test_a_start_names_all_that_are_missing_across_services_and_what_to_do(tmp_path: Path) -> None:
    app = App("castle", services=[Tower, Gate], config=Config(data="sqlite::memory:", secrets=("env", "files:/none")))
    app.service(Tower).by(TowerService)
    app.service(Gate).by(GateService)
    with pytest.raises(StartError) as caught:
        async with Stage(app):
            pass

    told = str(caught.value)
    assert len(caught.value.findings) == 3
    assert [name for name in ("moat/key", "payments/psp-key", "gate/key") if name not in told] == []
    assert "tower/spare" not in told
    assert "test_secret.py:" in told
    assert "set the variable ENFILADE_SECRET_GATE_KEY or write the file /none/gate/key" in told


async def test_a_secret_without_a_name_is_told_how_to_have_one() -> None:
    @dataclass
    class Nameless(Gate):
        key: Secret

        async def open(self) -> Answer: ...

    app = App("castle", services=[Gate], config=Config(data="sqlite::memory:"))
    app.service(Gate).by(Nameless)
    with pytest.raises(StartError, match=r'key: Secret = Secret\("'):
        async with Stage(app):
            pass


def test_a_secret_shows_its_name_only() -> None:
    secret = Secret("payments/psp-key")

    assert f"{secret} {secret!r} {secret!s}" == " ".join(["Secret('payments/psp-key')"] * 3)
    assert "payments/psp-key" in repr(GateService(secret))


def test_a_secret_is_neither_pickled_nor_written_as_json() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret("gate/key"))
    with pytest.raises(TypeError):
        json.dumps(Secret("gate/key"))


@pytest.mark.parametrize("name", ["", "/", "../etc/passwd", "a//b", "a b", ".hidden", "a/", "a#", "a\n", "a/-b"])
def test_a_name_that_leads_elsewhere_is_none(name: str) -> None:
    with pytest.raises(Misuse, match="names no secret"):
        Secret(name)


async def test_a_secret_of_no_app_says_how_it_comes_to_one() -> None:
    with pytest.raises(Misuse, match="belongs to no app"):
        await Secret("gate/key").reveal()


async def test_what_is_revealed_is_text_that_does_not_show_in_a_repr() -> None:
    async with Bench(GateService).secret("gate/key", "open sesame") as bench:
        value = await bench.running.supplies.secrets.reveal("gate/key")

    assert value == "open sesame"
    assert f"Bearer {value}" == "Bearer open sesame"
    assert repr(value) == f"{value!r}" == "'***'"
    assert "sesame" not in repr({"key": value})


def secrets(*entries: str, **environ: str) -> Secrets:
    clock = SystemClock()
    return Secrets(sources_of(entries, clock, environ), clock)


async def test_the_first_source_that_has_it_gives_the_value(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "key").write_text("from a file\n")
    (tmp_path / "gate" / "bell").write_text("ding")
    both = secrets("env", f"files:{tmp_path}", ENFILADE_SECRET_GATE_KEY="from a variable")

    assert await both.reveal("gate/key") == "from a variable"
    assert await both.reveal("gate/bell") == "ding"
    assert await both.find("gate") is None
    assert await both.find("gate/none") is None


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    files = secrets(f"files:{tmp_path}")
    assert await files.reveal("key") == "old"
    (tmp_path / "new").write_text("new value")
    (tmp_path / "new").replace(file)

    assert await files.reveal("key") == "new value"


async def test_who_waits_for_a_change_is_told_the_new_value() -> None:
    clock = VirtualClock()
    environ = {"ENFILADE_SECRET_KEY": "old value"}
    key = Secrets(sources_of(["env"], clock, environ), clock).bind(Secret("key"))
    waiting = asyncio.create_task(key.changed(await key.reveal()))
    await clock.advance(60)
    assert not waiting.done()
    environ.clear()  # gone for a while: no change yet
    await clock.advance(60)
    environ["ENFILADE_SECRET_KEY"] = "new value"
    await clock.advance(60)

    assert await waiting == "new value"


async def test_a_value_that_is_no_text_is_unavailable_and_says_which_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(Exception, match="cannot be read"):
        await secrets(f"files:{tmp_path}").reveal("key")


def test_a_source_that_nobody_knows_stops_the_start() -> None:
    with pytest.raises(StartError, match="'keychain' is no source") as caught:
        secrets("keychain", "files:", "env")

    assert len(caught.value.findings) == 2


@pytest.mark.parametrize(
    ("said", "sources"),
    [
        ("", ("env",)),
        ("/run/secrets", ("env", "files:/run/secrets")),
        ("files:/run/secrets", ("files:/run/secrets",)),
        ("env age:secrets.age", ("env", "age:secrets.age")),
    ],
)
def test_a_variable_says_a_folder_or_the_sources(said: str, sources: tuple[str, ...]) -> None:
    assert load(Path("none"), {"ENFILADE_SECRETS": said}).secret_sources == sources


def test_the_configuration_lists_the_sources_in_order() -> None:
    assert Config(secrets=("age:secrets.age", "env")).secret_sources == ("age:secrets.age", "env")


def test_a_check_finds_a_secret_without_a_name_and_starts_nothing() -> None:
    @dataclass
    class Nameless(Gate):
        key: Secret

        async def open(self) -> Answer: ...

    app = App("castle", services=[Gate])
    app.service(Gate).by(Nameless)
    found = [one for one in check(app).findings if one.rule == "injection"]

    assert [one.remedy for one in found] == ['Name it: `key: Secret = Secret("payments/psp-key")`.']
