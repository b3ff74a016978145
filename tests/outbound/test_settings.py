"""What an operator may say about the way out."""

from __future__ import annotations

from typing import Any, Protocol, final

import pytest

from enfilade import App, anyone, contract, query
from enfilade.config import Config, OutboundConfig
from enfilade.errors import StartError
from enfilade.outbound import Http
from enfilade.testing import Stage


@contract(needs=anyone)
class Elsewhere(Protocol):
    @query("GET /name")
    async def name(self) -> str: ...


@contract(needs=anyone)
class Here(Protocol):
    @query("GET /here")
    async def here(self) -> str: ...


@final
class HereService(Here):
    def __init__(self, http: Http) -> None: ...

    async def here(self) -> str:
        return "here"


async def start(**settings: Any) -> None:
    app = App("shop", services=[Elsewhere, Here])
    app.service(Here).by(HereService)
    service = {"elsewhere": {"at": settings.pop("at", "http://127.0.0.1:9")}}
    async with Stage(app, config=Config(data="sqlite::memory:", service=service, **settings)):
        pass


@pytest.mark.parametrize("entry", ["http://psp.internal", "10.0.0.1/8", "psp:http", ""])
async def test_an_entry_that_is_none_stops_the_start_and_says_how_one_looks(entry: str) -> None:
    with pytest.raises(StartError, match=r"\[outbound\]: allow: .*\n.*psp\.internal:8443"):
        await start(outbound=OutboundConfig(allow=(entry,)))


@pytest.mark.parametrize("at", ["psp.example/v1", "ftp://psp.example", "https://me:secret@psp.example", "https://"])
async def test_a_service_at_what_is_no_address_stops_the_start(at: str) -> None:
    with pytest.raises(StartError, match=r"cannot be asked|is no address") as caught:
        await start(at=at)
    assert "secret" not in str(caught.value)
