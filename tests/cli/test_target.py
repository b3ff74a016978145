"""Which app a command is about."""

from __future__ import annotations

import shutil

import pytest


def test_the_app_is_the_one_that_pyproject_names(project):
    project.edit("pyproject.toml", f'"{project.package}.app:app"', f'"{project.package}.app:other"')
    project.edit("PKG/app.py", "app = App(", "other = App(")

    assert project.run("routes").exit_code == 0


def test_the_app_is_the_only_one_below_the_working_folder(project):
    (project.folder / "pyproject.toml").unlink()

    assert project.run("routes").exit_code == 0


def test_the_app_is_found_from_inside_its_package(project, monkeypatch):
    (project.folder / "pyproject.toml").unlink()
    monkeypatch.chdir(project.folder / project.package)

    assert project.run("routes").exit_code == 0


def test_the_app_may_lie_below_src(project):
    (project.folder / "src").mkdir()
    (project.folder / project.package).rename(project.folder / "src" / project.package)

    assert project.run("routes").exit_code == 0
    assert project.run("routes", f"{project.package}.app:app").exit_code == 0


def test_of_two_apps_one_must_be_said(project):
    (project.folder / "pyproject.toml").unlink()
    shutil.copytree(project.folder / project.package, project.folder / "other")
    refused = project.run("routes")

    assert refused.exit_code == 1
    assert f"more than one app here: other.app:app, {project.package}.app:app" in refused.stderr
    assert project.run("routes", f"{project.package}.app:app").exit_code == 0


def test_where_there_is_no_app_the_command_says_what_to_do(project, monkeypatch):
    monkeypatch.chdir(project.folder / "tests")
    refused = project.run("run")

    assert refused.exit_code == 1
    assert "there is no app in" in refused.stderr
    assert "enfilade new NAME" in refused.stderr


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("nothing", "nothing names no app"),
        ("nowhere.app:app", "there is no module nowhere"),
        ("PKG.app:wrong", "PKG.app has no wrong"),
        ("PKG.app:Notes", "is no App but a"),
    ],
)
def test_an_app_that_is_none_is_refused(project, said, what):
    refused = project.run("routes", said.replace("PKG", project.package))

    assert refused.exit_code == 1
    assert what.replace("PKG", project.package) in refused.stderr


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import nowhere_at_all", "No module named 'nowhere_at_all' (PKG/notes/contract.py:1)"),
        ("def wrong(", "SyntaxError: '(' was never closed"),
        ("print(1 / 0)", "ZeroDivisionError: division by zero (PKG/notes/contract.py:1)"),
    ],
)
def test_an_app_that_cannot_be_imported_is_told_with_its_line_and_no_traceback(project, line, what):
    file = project.folder / project.package / "notes/contract.py"
    file.write_text(f"{line}\n{file.read_text()}")
    refused = project.run("check")

    assert refused.exit_code == 1
    assert what.replace("PKG", project.package) in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_configuration_may_lie_beside_the_app(project):
    toml = project.folder / "enfilade.toml"
    toml.rename(project.folder / project.package / "enfilade.toml")
    project.edit("PKG/enfilade.toml", "development = true", "development = false")

    assert "believes no tokens" in project.run("token", "ann").stderr


def test_a_configuration_that_is_wrong_is_told(project):
    (project.folder / "enfilade.toml").write_text("prot = 8080\n")
    refused = project.run("check")

    assert refused.exit_code == 1
    assert "prot" in refused.stderr
