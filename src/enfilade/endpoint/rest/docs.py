"""The description for people: one page of plain HTML, written here, that asks no other host for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Final

from enfilade.endpoint.rest.schemas import REF, Schema

_STYLE: Final = files("enfilade.endpoint.rest").joinpath("docs.css").read_text("utf-8")
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: its own style, and nothing else."""

_METHODS = ("get", "post", "put", "patch", "delete")


def page(document: Schema) -> bytes:
    """An OpenAPI document as HTML."""
    title = escape(document["info"]["title"])
    operations = [
        (method, path, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    html = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
        f'<nav><h1>{title}</h1><a href="openapi.json">OpenAPI document</a>',
    ]
    for tag in document["tags"]:
        html.append(f"<h2>{escape(tag['name'])}</h2>")
        html += [_entry(*one) for one in operations if tag["name"] in one[2]["tags"]]
    html.append('<h2>Messages</h2><a href="#messages"><span>All messages</span></a></nav><main>')
    for tag in document["tags"]:
        html.append(f"<section><h2>{escape(tag['name'])}</h2>{_prose(tag.get('description', ''), 'lead')}")
        html += ["".join(_operation(*one)) for one in operations if tag["name"] in one[2]["tags"]]
        html.append("</section>")
    html.append('<section id="messages"><h2>Messages</h2>')
    html += ["".join(_message(name, schema)) for name, schema in document["components"]["schemas"].items()]
    html.append("</section></main></body></html>")
    return "".join(html).encode()


def _entry(method: str, path: str, operation: Schema) -> str:
    return (
        f'<a href="#{escape(operation["operationId"])}"><span class="method {method}">{method.upper()}</span>'
        f"<span>{escape(path)}</span></a>"
    )


def _operation(method: str, path: str, one: Schema) -> Iterator[str]:
    gone = ' class="gone"' if one.get("deprecated") else ""
    yield f'<article id="{escape(one["operationId"])}"{gone}><h3><span class="method {method}">{method.upper()}</span>'
    yield f'<span class="path">{escape(path)}</span><span class="dim">{escape(one["operationId"])}</span></h3>'
    yield _prose(one["summary"]) + _prose(one.get("description", ""), "dim")
    yield f'<ul class="facts">{"".join(_facts(one))}</ul>'
    if parameters := one.get("parameters"):
        rows = "".join(_parameter(each) for each in parameters)
        yield f"<h4>Parameters</h4><table>{rows}</table>"
    if body := one.get("requestBody"):
        need = "" if body["required"] else ' <span class="dim">optional</span>'
        yield f"<h4>Body{need}</h4><table>{''.join(_content(body['content']))}</table>"
    good = {status: said for status, said in one["responses"].items() if status < "300"}
    yield f"<h4>Answer</h4><table>{''.join(_response(*each) for each in good.items())}</table>"
    rest = "".join(_response(*each) for each in one["responses"].items() if each[0] not in good)
    yield f"<details><summary>What else it may answer</summary><table>{rest}</table></details></article>"


def _facts(one: Schema) -> Iterator[str]:
    if one.get("deprecated"):
        sunset = one.get("x-enfilade-sunset")
        yield f'<li class="warn">deprecated{f", gone on {escape(sunset)}" if sunset else ""}</li>'
    yield f"<li>needs: {escape(one['x-enfilade-needs'])}</li><li>{one['x-enfilade-kind']}</li>"
    for rate in one.get("x-enfilade-rate", ()):
        yield f"<li>{escape(rate['limit'])} per {escape(rate['per'])}</li>"
    if owner := one.get("x-enfilade-owner"):
        yield f"<li>owner: {escape(owner)}</li>"


def _parameter(one: Schema) -> str:
    need = "" if one.get("required") else '<span class="dim">optional</span> '
    about = _prose(one.get("description", "") or one["schema"].get("description", ""), "dim")
    return (
        f'<tr><td><span class="name">{escape(one["name"])}</span> <span class="dim">{one["in"]}</span></td>'
        f"<td>{need}{_type(one['schema'])}{about}</td></tr>"
    )


def _content(content: Schema) -> Iterator[str]:
    for media_type, said in content.items():
        schema: Schema = said["schema"]
        kind = _type(schema)
        yield f'<tr><td class="dim">{escape(media_type)}</td><td>{kind}</td></tr>'


def _response(status: str, said: Schema) -> str:
    kinds = [f"<p>{_type(one['schema'])}</p>" for one in said.get("content", {}).values() if one["schema"]][:1]
    return (
        f'<tr><td><span class="status">{status}</span></td><td>{escape(said["description"])}{"".join(kinds)}</td></tr>'
    )


def _message(name: str, schema: Schema) -> Iterator[str]:
    yield f'<article id="message-{escape(name)}"><h3><span class="path">{escape(name)}</span></h3>'
    yield _prose(schema.get("description", ""))
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        yield "<table>"
        for member, each in properties.items():
            need = "" if member in required else '<span class="dim">optional</span> '
            about = _prose(each.get("description", ""), "dim")
            yield f'<tr><td class="name">{escape(member)}</td><td>{need}{_type(each)}{about}</td></tr>'
        yield "</table>"
    yield "</article>"


def _type(one: Schema) -> str:
    """A schema in a few words, messages as links."""
    if not one:
        return "anything"
    if "x-enfilade-item" in one:
        return f"stream of {_type(one['x-enfilade-item'])}"
    if "$ref" in one:
        name = escape(one["$ref"].removeprefix(REF))
        return f'<a href="#message-{name}">{name}</a>'
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in one:
            return (" and " if choice == "allOf" else " or ").join(_type(each) for each in one[choice])
    if "const" in one:
        return f"<code>{escape(str(one['const']))}</code>"
    if "enum" in one:
        return " or ".join(f"<code>{escape(str(each))}</code>" for each in one["enum"])
    return _shape(one)


def _shape(one: Schema) -> str:
    kind = one.get("type", "anything")
    if kind == "array":
        inner = f"array of {_type(one['items'])}" if one.get("items") else "array"
        return inner + _limits(one)
    if kind == "object" and "properties" in one:
        members = ", ".join(f"{escape(name)}: {_type(each)}" for name, each in one["properties"].items())
        return f"{{ {members} }}"
    if kind == "object" and isinstance(one.get("additionalProperties"), dict):
        return f"object of {_type(one['additionalProperties'])}"
    return escape(str(one.get("format") or kind)) + _limits(one)


def _limits(one: Schema) -> str:
    words = {
        "minimum": "from", "maximum": "to", "exclusiveMinimum": "above", "exclusiveMaximum": "below",
        "minLength": "length from", "maxLength": "length to", "minItems": "items from", "maxItems": "items to",
        "multipleOf": "a multiple of", "pattern": "like", "default": "by default",
    }  # fmt: skip
    large = (2**63 - 1, -(2**63))
    said = [f"{word} {one[key]}" for key, word in words.items() if key in one and one[key] not in large]
    return f' <span class="dim">({escape(", ".join(said))})</span>' if said else ""


def _prose(text: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return "".join(f"<p{style}>{escape(part)}</p>" for part in text.split("\n\n") if part)
