"""The development issuer and the tokens of the app's own people."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from enfilade.clock import VirtualClock
from enfilade.errors import StartError, Unauthenticated
from enfilade.identity import DevelopmentIssuer, Tokens, Verifier


async def test_an_issued_token_is_verified_with_all_that_it_says(clock: VirtualClock) -> None:
    issuer = DevelopmentIssuer(None, "shop")
    token = Tokens(issuer, clock).issue("acc_1", scopes=["a", "b"], roles=["editor"], tenant="acme", kind="agent")

    principal = await Verifier([issuer.issuer], clock).verify(token)

    assert principal.subject == "acc_1"
    assert principal.scopes == {"a", "b"}
    assert principal.roles == {"editor"}
    assert principal.tenant == "acme"
    assert principal.kind == "agent"


async def test_an_issued_token_ends_when_it_was_said(clock: VirtualClock) -> None:
    issuer = DevelopmentIssuer(None, "shop")
    verifier = Verifier([issuer.issuer], clock)
    token = Tokens(issuer, clock).issue("acc_1", ttl=60)
    await clock.advance(59)
    assert await verifier.verify(token)

    await clock.advance(1)

    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_token_of_one_app_is_refused_by_another(clock: VirtualClock, tmp_path: Path) -> None:
    token = Tokens(DevelopmentIssuer(tmp_path, "shop"), clock).issue("acc_1")

    with pytest.raises(Unauthenticated):
        await Verifier([DevelopmentIssuer(tmp_path, "mail").issuer], clock).verify(token)


def test_a_token_is_for_somebody(clock: VirtualClock) -> None:
    tokens = Tokens(DevelopmentIssuer(None, "shop"), clock)

    with pytest.raises(ValueError, match="a subject"):
        tokens.issue("")
    with pytest.raises(ValueError, match="sequences"):
        tokens.issue("acc_1", scopes="orders:write")


async def test_the_key_is_made_once_and_kept_from_others(clock: VirtualClock, tmp_path: Path) -> None:
    folder = tmp_path / "new" / ".enfilade"
    token = Tokens(DevelopmentIssuer(folder, "shop"), clock).issue("acc_1")

    again = DevelopmentIssuer(folder, "shop")

    assert (await Verifier([again.issuer], clock).verify(token)).subject == "acc_1"
    assert stat.S_IMODE((folder / "issuer.json").stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["issuer.json"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    kids: list[str] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        kids.append(DevelopmentIssuer(tmp_path, "shop").kid)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(kids) == 8
    assert len(set(kids)) == 1


def test_the_public_half_is_all_that_a_verifier_gets(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer(tmp_path, "shop")

    assert "d" not in issuer.issuer.keys[0]
    assert issuer.issuer.keys[0]["kid"] == issuer.kid
    assert len(issuer.kid) == 43


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"kty": "oct", "k": "AAAA"}', "public"])
def test_a_damaged_key_file_names_the_remedy(tmp_path: Path, content: str) -> None:
    if content == "public":
        content = json.dumps(DevelopmentIssuer(None, "shop").issuer.keys[0])
    (tmp_path / "issuer.json").write_text(content)

    with pytest.raises(StartError, match="Delete the file"):
        DevelopmentIssuer(tmp_path, "shop")
