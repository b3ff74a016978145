"""What a plan says, and what it is told when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enfilade.errors import StartError
from enfilade.plan import Layout, lay_out, read_file

SERVICES = ("orders", "payments", "catalog", "psp")
NEXT = "[x]\nextends = 'split'\n[x.process.next]\nvariant = true"
THIRD = "variant = true\nservices = ['payments']\nshare = 50"


@pytest.fixture
def laid_out(tmp_path: Path) -> Callable[..., Layout]:
    def lay(name: str, text: str = "") -> Layout:
        file = tmp_path / "plan.toml"
        file.write_text(text)
        found, findings = read_file(file)
        at = {"psp": "https://psp.example"}
        layout, more = lay_out(name, found, "plan.toml", "shop", SERVICES, lambda one: at.get(one, ""))
        if findings or more:
            raise StartError([*findings, *more])
        return layout

    return lay


def placed(layout: Layout) -> dict[str, tuple[str, ...]]:
    return {name: tuple(one.services) for name, one in layout.processes.items()}


def test_one_comes_for_free(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out("one")

    assert placed(layout) == {"shop": ("orders", "payments", "catalog")}
    assert layout.front == "shop"


def test_split_comes_for_free_with_a_front(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out("split")

    assert placed(layout) == {"orders": ("orders",), "payments": ("payments",), "catalog": ("catalog",), "front": ()}
    assert layout.front == "front"


def test_the_rest_is_in_one_process(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out(
        "pair",
        """
        [pair.process.money]
        services = ["payments"]
        replicas = 2
        [pair.process.rest]
        services = "*"
        front = true
        """,
    )

    assert placed(layout) == {"money": ("payments",), "rest": ("orders", "catalog")}
    assert layout.processes["money"].replicas == 2
    assert layout.front == "rest"


def test_a_service_moves_to_the_process_that_names_it_last(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out(
        "teams",
        """
        [teams]
        extends = "split"
        [teams.process.money]
        services = ["payments", "orders"]
        """,
    )

    assert placed(layout) == {"catalog": ("catalog",), "money": ("orders", "payments"), "front": ()}
    assert layout.origin["placed.orders"] == "plan.toml [teams.process.money]"
    assert layout.origin["placed.catalog"] == "comes for free"


def test_what_comes_for_free_can_be_added_to(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out(
        "split",
        """
        [split.process.orders]
        replicas = 3
        [split.process.psp]
        command = ["python", "-m", "shop.outside"]
        [split.service.payments]
        retries = 3
        [split.store]
        data = "postgresql:"
        """,
    )

    assert layout.processes["orders"].replicas == 3
    assert placed(layout)["orders"] == ("orders",)
    assert layout.processes["psp"].command == ("python", "-m", "shop.outside")
    assert layout.service == {"payments": {"retries": 3}}
    assert layout.origin["service.payments.retries"] == "plan.toml [split.service.payments]"
    assert layout.origin["store.data"] == "plan.toml [split.store]"


def test_what_is_laid_over_goes_over_what_is_under(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out(
        "big",
        """
        [small.process.all]
        services = "*"
        memory = 300
        [small.service.payments]
        retries = 1
        wait = 2
        [big]
        extends = "small"
        [big.process.all]
        replicas = 4
        [big.service.payments]
        retries = 5
        """,
    )

    assert (layout.processes["all"].memory, layout.processes["all"].replicas) == (300, 4)
    assert layout.service["payments"] == {"retries": 5, "wait": 2}


def test_a_variant_is_beside_the_primary_process(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out(
        "split",
        """
        [split.process.next]
        services = ["payments"]
        variant = true
        share = 10
        mirror = 50
        compare = true
        from = "../other"
        use = { payments = "shop.payments.fast" }
        [split.process.next.service.payments]
        retries = 5
        """,
    )

    assert layout.of("payments") == "payments"
    assert layout.variants("payments") == ["next"]
    assert layout.variants("orders") == []
    assert layout.processes["next"].from_ == "../other"
    assert layout.processes["next"].service == {"payments": {"retries": 5}}
    assert layout.origin["process.next.share"] == "plan.toml [split.process.next]"


def test_what_is_laid_over_a_variant_is_of_the_variant(laid_out: Callable[..., Layout]) -> None:
    layout = laid_out(
        "more",
        """
        [split.process.next]
        services = ["payments"]
        variant = true
        share = 10
        [more]
        extends = "split"
        [more.process.next]
        services = ["payments", "orders"]
        share = 20
        """,
    )

    assert layout.of("orders") == "orders"
    assert layout.variants("orders") == ["next"]
    assert layout.processes["next"].share == 20
    assert layout.origin["process.next.variant"] == "plan.toml [split.process.next]"
    assert layout.origin["process.next.share"] == "plan.toml [more.process.next]"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[x.process.a]\nservices = ["ordrs", "*"]', "there is no service ordrs"),
        ('[x.process.a]\nservices = ["orders"]\n[x.process.b]\nservices = ["orders"]', "placed twice: in a and in b"),
        ('[x.process.a]\nservices = ["orders"]', "no process has payments"),
        ('[x.process.a]\nservices = "*"\n[x.process.b]\nservices = "*"', 'a and b both have services = "*"'),
        ('[x.process.a]\nservices = ["psp"]\n[x.process.b]\nservices = "*"', "psp is placed in a, and served at an"),
        ('[x.process.a]\nservices = "*"\ncommand = ["b"]', "a has a command, and services"),
        ('[x.process.a]\nservices = "*"\nfront = true\n[x.process.b]\nfront = true', "a and b are both the front"),
        ('[x.process.a]\nservices = "*"\nreplica = 2', "unknown field `replica`"),
        ('[x.process.a]\nservices = "*"\nreplicas = 0', "Expected `int` >= 1"),
        ('[x.process."A b"]\nservices = "*"', "'A b' is no name of a process"),
        ('[x.process.a]\nservices = "*"\n[x.service.nobody]\nb = 1', "there is no service nobody"),
        ('[x]\nextends = "y"\n[y]\nextends = "z"\n[z]\nextends = "y"', "y -> z -> y is a circle"),
        ('[x]\nextends = "nowhere"', "extends nowhere, which is not there"),
        ("y = 1\n[x.process.a]\nservices = '*'", "y stands outside of any arrangement"),
        ("[x", "this cannot be read"),
        ("[x]\nprocess = 3", "Expected `object`, got `int`"),
        ("[y]", "there is no plan named x"),
        (f"{NEXT}\nservices = ['paymnts']", "there is no service paymnts"),
        (f"{NEXT}\nservices = ['payments']\nshare = 101", "Expected `float` <= 100.0"),
        (f"{NEXT}\nservices = ['payments', 'payments']", "next names a service twice"),
        (f"{NEXT}\nservices = '*'", "the variant next does not say of what"),
        (NEXT, "the variant next does not say of what"),
        (f"{NEXT}\nservices = ['psp']", "next is a variant of psp, which is served at an address"),
        (f"{NEXT}\nservices = ['payments']\nfront = true", "next is a variant, and the front"),
        (f"{NEXT}\nservices = ['payments']\ncommand = ['b']", "next has a command, and is a variant"),
        (f"{NEXT}\nservices = ['payments']\ncompare = true", "next compares, and nothing is mirrored to it"),
        (f"{NEXT}\nservices = ['payments']\nmirror = 1\nignore = ['/at']", "ignores what may differ, and compares"),
        (f"{NEXT}\nservices = ['payments']\nmirror = 1\ncompare = true\nignore = ['at']", "ignores at, which is no"),
        (f"{NEXT}\nservices = ['payments']\nuse = {{ orders = 'x' }}", "use of orders, which it does not serve"),
        (f"{NEXT}\nservices = ['payments']\nservice.orders.a = 1", "service of orders, which it does not serve"),
        (f"{NEXT}\nservices = ['payments']\nservice.payments.at = 'x'", "serves payments, and says where else it is"),
        ('[x.process.a]\nservices = "*"\nshare = 10', "a says share, and is no variant"),
        ('[x.process.next]\nservices = ["orders"]\nvariant = true', "no process has payments"),
        (
            f"{NEXT}\nservices = ['payments']\nshare = 60\n[x.process.third]\n{THIRD}",
            "next and third would have 110 % of the calls of payments",
        ),
    ],
)
def test_a_mistake_is_told(laid_out: Callable[..., Layout], text: str, what: str) -> None:
    with pytest.raises(StartError) as told:
        laid_out("x", text)

    assert what in str(told.value)
    assert all(one.remedy for one in told.value.findings)


def test_all_mistakes_are_told_at_once(laid_out: Callable[..., Layout]) -> None:
    with pytest.raises(StartError) as told:
        laid_out("x", '[x.process.a]\nservices = ["orders", "nobody"]\n[x.process.b]\nservices = ["orders"]\nsize = 3')

    text = str(told.value)
    assert "no service nobody" in text
    assert "unknown field `size`" in text
    assert "no process has catalog" in text
