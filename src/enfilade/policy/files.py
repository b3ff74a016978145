"""A folder of policies, read: each with its name and its place, and everything that is wrong with them."""

# cedarpy says `dict` without what is in it.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import cedarpy

from enfilade.errors import Finding, StartError

_BEGINS: Final = re.compile(r'^[ \t]*(?:@\w+(?:\("[^"\n]*"\))?\s*)*(?:permit|forbid)\s*\(', re.MULTILINE)
"""Where a policy begins, with its annotations."""


Json: TypeAlias = dict[str, Any]


class Written(NamedTuple):
    """One policy."""

    name: str
    """Its `@id`, or else `file:line`."""
    where: str
    body: Json
    """In Cedar's JSON."""

    def about(self, action: str, groups: tuple[str, ...]) -> bool:
        """Whether it may be about calls of this action."""
        said = self.body["action"]
        if said["op"] == "All":
            return True
        named = {one["id"] for one in said.get("entities", [said.get("entity")])}
        return action in named or (said["op"] == "in" and not named.isdisjoint(groups))


def read_policies(folder: Path, schema: str) -> tuple[Written, ...]:
    """The policies of all `*.cedar` files. Raises StartError with all that is wrong."""
    findings: list[Finding] = []
    found: list[Written] = []
    for file in sorted(folder.glob("*.cedar")):
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            findings.append(Finding(str(file), f"it cannot be read: {wrong}.", "Make it a file in UTF-8.", "policy"))
            continue
        for policy in _read(file, text, findings):
            same = next((one for one in found if one.name == policy.name), None)
            if same is not None:
                what = f'the policy "{policy.name}" is also at {same.where}.'
                findings.append(Finding(policy.where, what, "Give one of them another @id.", "policy"))
            found.append(policy)
        if not findings:
            findings += _against(file, text, schema)
    if not found and not findings:
        what = "there is no policy in it, so that every call would be refused."
        remedy = "Begin with what the contracts say: enfilade policy export > contracts.cedar"
        findings.append(Finding(str(folder), what, remedy, "policy"))
    if findings:
        raise StartError(findings)
    return tuple(found)


def _read(file: Path, text: str, findings: list[Finding]) -> list[Written]:
    """One policy after the other, so that each has a place."""
    begins = [match.start() for match in _BEGINS.finditer(text)]
    found: list[Written] = []
    for begin, end in zip(begins, [*begins, len(text)][1:], strict=True):
        where = _place(file, text, begin)
        try:
            read = json.loads(cedarpy.policies_to_json_str(text[begin:end]))
        except ValueError as wrong:
            findings.append(Finding(where, f"this is no policy: {wrong}.", "Mend it as it says.", "policy"))
            continue
        if read["templates"]:
            what = "this is a template, and nothing here fills its slots."
            findings.append(Finding(where, what, "Name the principal or the resource, or leave it open.", "policy"))
        bodies: list[Json] = [*read["staticPolicies"].values()]
        found += [Written(body.get("annotations", {}).get("id") or where, where, body) for body in bodies]
    return found


def _against(file: Path, text: str, schema: str) -> list[Finding]:
    """What policies ask that no call can tell them."""
    begins = [match.start() for match in _BEGINS.finditer(text)]
    found: list[Finding] = []
    for error in cedarpy.validate_policies(text, schema).errors:
        number = error.policy_id.removeprefix("policy")
        what = f"{error.error.removeprefix(f'for policy `{error.policy_id}`, ')}."
        if number.isdigit() and int(number) < len(begins):
            remedy = "Ask for what calls have: enfilade policy export --schema shows it."
            found.append(Finding(_place(file, text, begins[int(number)]), what, remedy, "policy"))
        else:
            found.append(Finding(str(file), what, "Write permit (...) or forbid (...).", "policy"))
    return found


def _place(file: Path, text: str, at: int) -> str:
    at += len(text[at:]) - len(text[at:].lstrip())
    return f"{file}:{text.count(chr(10), 0, at) + 1}"
