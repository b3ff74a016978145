"""Who may import whom."""

from __future__ import annotations

import pytest


def test_a_program_without_a_mistake_has_no_findings(program):
    report = program.check()

    assert report.findings == ()
    assert report.services == 2


@pytest.mark.parametrize(
    "line",
    [
        "from PKG.catalog.service import CatalogService",
        "from ..catalog.service import CatalogService",
        "import PKG.catalog.service",
        "from PKG.catalog import service",
        "from .. import catalog",
    ],
)
def test_an_import_of_another_services_implementation_is_found(program, line):
    program.edit("orders/service.py", "import asyncio\n", f"import asyncio\n{line}  # planted\n")

    finding = program.finding()

    assert (finding.rule, finding.where) == ("boundary", program.at("orders/service.py", "# planted"))
    assert f"private to {program.name}.catalog" in finding.what
    assert f"{program.name}.catalog.contract" in finding.remedy


def test_an_import_for_type_checkers_only_is_an_import(program):
    program.edit(
        "orders/service.py",
        "import asyncio\n",
        "import asyncio\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from PKG.catalog.service import ProductRow\n",
    )

    assert program.found() == [("boundary", program.at("orders/service.py", "import ProductRow"))]


def test_an_import_inside_a_function_of_any_file_of_the_folder_is_found(program):
    program.write(
        "orders/price.py", "def price():\n    from PKG.catalog.service import ProductRow\n    return ProductRow\n"
    )

    assert program.found() == [("boundary", program.at("orders/price.py", "import ProductRow"))]


def test_a_service_may_import_its_own_files_and_what_belongs_to_no_service(program):
    program.write("orders/price.py", "PRICE = 1\n")
    program.write("shared.py", "NAME = 1\n")
    program.edit(
        "orders/service.py",
        "import asyncio\n",
        "import asyncio\nfrom . import price\nfrom PKG.orders.price import PRICE\nfrom PKG.shared import NAME\n",
    )

    assert program.found() == []


@pytest.mark.parametrize(
    "line",
    [
        "from enfilade.service import Row",
        "from enfilade import service",
        "import msgspec",
        "from PKG.orders.price import PRICE",
        "from PKG.shared import NAME",
    ],
)
def test_a_contract_imports_nothing_but_contracts(program, line):
    program.write("orders/price.py", "PRICE = 1\n")
    program.write("shared.py", "NAME = 1\n")
    program.edit("orders/contract.py", "from typing import", f"{line}  # planted\nfrom typing import")

    finding = program.finding()

    assert (finding.rule, finding.where) == ("contract-imports", program.at("orders/contract.py", "# planted"))


def test_a_contract_may_import_other_contracts_and_the_standard_library(program):
    program.edit(
        "orders/contract.py",
        "from typing import",
        "import datetime\nfrom PKG.catalog.contract import Product\nfrom enfilade.errors import Conflict\n"
        "from typing_extensions import TypeForm\nfrom typing import",
    )

    assert program.found() == []
