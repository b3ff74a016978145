"""What another build of the app is: asked for in a process that imports it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, Final

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding, StartError
from enfilade.plan.share import code_at
from enfilade.plan.survey import Plan

_ASKED: Final = 60.0
"""Seconds that a build may take to tell what it is."""


class Build(Message):
    """An app, as its code has it."""

    plan: Plan
    contracts: dict[str, dict[str, dict[str, Any]]]
    """By service and operation, what others rely on."""
    talk: dict[str, dict[str, dict[str, dict[str, Any]]]]
    """By service, the events that it says and hears."""


async def ask(code: str, said: str | None, plan: Plan) -> Build:
    """The build in a folder, in this plan. Raises StartError with what is wrong there."""
    command = ["-m", "enfilade.cli", "plan", "show", plan.layout.name, "--json", "--contracts"]
    asked = await asyncio.create_subprocess_exec(
        sys.executable, *command, *(["--app", said] if said else []),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **code_at(code, plan.folder)},
    )  # fmt: skip
    wrong = b""
    try:
        async with asyncio.timeout(_ASKED):
            wrote, wrong = await asked.communicate()
        # The app's modules may write what they like: the build is the last line.
        return msgspec.json.decode(wrote.splitlines()[-1], type=Build)
    except (TimeoutError, msgspec.MsgspecError, IndexError) as error:
        if asked.returncode is None:
            asked.kill()
        why = wrong.decode("utf-8", "replace").strip()[-2000:] or repr(error)
        what = f"it does not say what it is: {why}"
        raise StartError([Finding(code or "the working folder", what, "Mend it, and try again.", "release")]) from error
