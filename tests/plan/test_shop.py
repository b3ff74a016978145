"""The shop as many processes, with a database and a broker of their own: the same purchase at the same address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.timeout(120)
def test_somebody_buys_in_the_split_shop(tmp_path: Path, unused_tcp_port: int) -> None:
    plan = (EXAMPLES / "shop/plan.toml").read_text().replace("8090", str(unused_tcp_port))
    outside = (f'[split.service.{one}]\nat = "http://127.0.0.1:{unused_tcp_port}/{one}"' for one in OUTSIDE)
    (tmp_path / "plan.toml").write_text("\n".join((plan, *outside)).replace('".:.."', f'"{EXAMPLES}"'))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENFILADE_")}
    shown = subprocess.run(
        [sys.executable, "-m", "shop.demo"], cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={**environment, "PYTHONPATH": str(EXAMPLES), "PORT": "0", "ONCE": "1", "PLAN": "split"},
    )  # fmt: skip

    assert shown.returncode == 0, shown.stderr
    assert "33.01 CHF" in shown.stdout
    assert "Ready: http://127.0.0.1:" in shown.stdout
    tree = shown.stdout[shown.stdout.index("This is what buying took.") :]
    homes = dict(re.findall(r"([a-z_]+\.[a-z_]+) {2,}(\S+) +", tree))  # of a call the last line is where it was served
    assert homes == {
        "orders.place": "orders", "cart.basket": "cart", "catalog.product": "catalog", "currency.convert": "currency",
        "shipping.quote": "shipping", "carrier.tariff": "shipping", "inventory.reserve": "inventory",
        "payments.charge": "payments", "psp.charge": "payments", "recommendations.learn": "recommendations",
        "notifications.thank": "notifications", "accounts.contact": "accounts", "mail.send": "notifications",
        "shipping.ship": "shipping", "carrier.send": "shipping", "orders.on_its_way": "orders",
        "notifications.announce": "notifications", "inventory.commit": "inventory", "cart.bought": "cart",
    }  # fmt: skip


OUTSIDE = ("psp", "carrier", "mail")
