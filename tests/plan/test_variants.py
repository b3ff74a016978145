"""A plan with variants: another module and another checkout beside the primary process, as processes of their own."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from typing import Any

PLAN = """
    [split.process.quick]
    services = ["kitchen"]
    variant = true
    share = 50
    use = { kitchen = "inn.kitchen.quick" }

    [split.process.trial]
    services = ["kitchen"]
    variant = true
    mirror = 100
    compare = true
    ignore = ["/pid"]
    from = "../trial"
"""


def dishes(port: int, count: int) -> list[str]:
    """Who says that he cooked: asked by nobody, so each call goes its own way."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        said: list[str] = []
        for _ in range(count):
            connection.request("GET", "/tables/soup")
            said.append(json.loads(connection.getresponse().read())["version"])
        return said


def test_variants_of_a_plan_have_their_share_or_their_copies(inn: Any) -> None:
    inn.version("trial")
    service = (inn.folder / "inn/kitchen/service.py").read_text()
    inn.write("inn/kitchen/quick.py", service.replace('"first"', '"quick"'))
    inn.write("plan.toml", PLAN)
    shown = inn.say("plan", "show", "split", "--origin")
    with inn.running("split"):
        said = dishes(inn.port, 60)
        asked = said.count("first")
        until = time.monotonic() + 30
        while (table := inn.say("variants")).split()[6:7] != [str(asked)] and time.monotonic() < until:
            pass

    assert "process trial compare  true, but /pid" in shown
    assert set(said) == {"first", "quick"}
    assert table.split() == [
        "VARIANT", "OPERATION", "OUTCOMES", "AT", "trial", "kitchen.dish", str(asked), "different", "/version",
    ]  # fmt: skip


def test_without_a_plan_that_runs_nothing_is_known_of_variants(inn: Any) -> None:
    assert "Processes of a plan are started together: enfilade run --plan NAME" in inn.say("variants", code=1)
