"""Pools and secrets: what a service is given beside its own tables and neighbours."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from enfilade.service import Processes, Secret, Threads


class PspKey(Secret, name="payments/psp-key"):
    """The key of our account at the payment provider."""


async def test_a_blocking_function_runs_in_a_thread_and_its_error_comes_back() -> None:
    threads = Threads(2)
    try:
        assert await threads(threading.get_ident) != threading.get_ident()
        with pytest.raises(ValueError, match="invalid literal"):
            await threads(int, "no number")
    finally:
        await threads.aclose()


async def test_a_cancelled_call_waits_for_its_thread() -> None:
    threads = Threads(1)
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(5)
        ended.set()

    task = asyncio.create_task(threads(work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended.is_set()
    await threads.aclose()


async def test_computing_runs_in_another_process() -> None:
    processes = Processes(1)
    try:
        assert await processes(pow, 2, 10) == 1024
    finally:
        await processes.aclose()


async def test_a_secret_comes_from_its_variable() -> None:
    secret = PspKey({"ENFILADE_SECRET_PAYMENTS_PSP_KEY": "hush"})

    assert secret.present()
    assert await secret.reveal() == "hush"


async def test_a_secret_comes_from_a_mounted_file(tmp_path: Path) -> None:
    (tmp_path / "payments").mkdir()
    (tmp_path / "payments" / "psp-key").write_text("hush\n")

    assert await PspKey({"ENFILADE_SECRETS": str(tmp_path)}).reveal() == "hush"


def test_a_secret_shows_its_name_only() -> None:
    secret = PspKey({"ENFILADE_SECRET_PAYMENTS_PSP_KEY": "hush"})

    assert "hush" not in f"{secret} {secret!r}"
    assert "payments/psp-key" in repr(secret)


async def test_a_missing_secret_says_where_it_is_looked_for() -> None:
    with pytest.raises(LookupError, match="ENFILADE_SECRET_PAYMENTS_PSP_KEY"):
        await PspKey({}).reveal()
