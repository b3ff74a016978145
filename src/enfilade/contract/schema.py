"""JSON Schema 2020-12 of types, ready for OpenAPI 3.1: every message is a component, every reference resolves.

What the schema allows is what the codec takes, so that a generated client and a generated test agree with us.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

import msgspec

from enfilade.contract.codec import codec
from enfilade.contract.declare import Names
from enfilade.contract.rewrite import DECIMAL
from enfilade.contract.shape import Field, Shape, Struct, shape

Schema: TypeAlias = dict[str, Any]

REF = "#/components/schemas/"

_DURATION = r"^[+-]?P(?=[0-9T])([0-9]{1,8}D)?(T(?=[0-9])([0-9]{1,9}H)?([0-9]{1,9}M)?([0-9]{1,9}(\.[0-9]{1,6})?S)?)?$"
"""ISO 8601 without years, months and weeks, which have no one length; with a sign, which RFC 3339 does not have."""
_SCALARS: dict[str, Schema] = {
    "none": {"type": "null"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "decimal": {"type": "string", "pattern": DECIMAL},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "timedelta": {"type": "string", "pattern": _DURATION},
    "uuid": {"type": "string", "format": "uuid"},
}
_KEYWORDS = {
    "int": {
        "ge": "minimum",
        "gt": "exclusiveMinimum",
        "le": "maximum",
        "lt": "exclusiveMaximum",
        "multiple_of": "multipleOf",
    },
    "str": {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"},
    "array": {"min_length": "minItems", "max_length": "maxItems"},
    "map": {"min_length": "minProperties", "max_length": "maxProperties"},
}
_KEYWORDS["float"] = _KEYWORDS["int"]


def components(types: Iterable[Any], names: Names = "snake") -> tuple[list[Schema], dict[str, Schema]]:
    """(a schema for each type, the components that they refer to)."""
    writer = _Writer(names)
    shapes = [shape(one) for one in types]
    writer.name(shapes)
    schemas = [writer.schema(one) for one in shapes]
    return schemas, {name: writer.message(struct) for name, struct in sorted(writer.named.items())}


class _Writer:
    def __init__(self, names: Names) -> None:
        self.names: Names = names
        self.named: dict[str, Struct] = {}
        self.refs: dict[Any, str] = {}

    def name(self, shapes: list[Shape]) -> None:
        """Gives every message a name; of two with one name both get their module's too."""
        structs: dict[Any, Struct] = {}

        def collect(one: Shape) -> None:
            if one.struct is not None:
                if one.struct.type in structs:
                    return
                structs[one.struct.type] = one.struct
            for below in one.below:
                collect(below)

        for one in shapes:
            collect(one)
        short = [_name(struct.type) for struct in structs.values()]
        for struct in structs.values():
            name = _name(struct.type)
            if short.count(name) > 1:
                name = f"{_folder(struct.cls.__module__)}.{name}"
            while name in self.named:
                name += "_"
            self.named[name] = struct
            self.refs[struct.type] = name

    def schema(self, one: Shape) -> Schema:
        """The schema of a type, by reference where it is a message."""
        made = self._bare(one)
        for meta in reversed(one.meta):
            for keyword in ("title", "description", "examples"):
                if (said := getattr(meta, keyword)) is not None:
                    made[keyword] = said
            if meta.extra_json_schema:
                made |= msgspec.to_builtins(meta.extra_json_schema)
        return made

    def message(self, struct: Struct) -> Schema:
        """The component of a message."""
        properties: Schema = {}
        required: list[str] = []
        if struct.tag is not None:
            properties[struct.tag_field] = {"const": struct.tag}
            required.append(struct.tag_field)
        for field in struct.fields:
            properties[field.wire(self.names)] = self._member(field)
            if field.required:
                required.append(field.wire(self.names))
        made: Schema = {"type": "object"}
        if described := describe(struct.cls):
            made["description"] = described
        made["properties"] = properties
        if required:
            made["required"] = required
        made["additionalProperties"] = False
        return made

    def _member(self, field: Field) -> Schema:
        made = self.schema(field.shape)
        if not field.required and field.default is not msgspec.UNSET:
            made["default"] = codec(field.shape.type, names=self.names).builtins(field.default)
        return made

    def _bare(self, one: Shape) -> Schema:
        if one.struct is not None:
            return {"$ref": REF + self.refs[one.struct.type]}
        if one.kind in ("enum", "literal"):
            return _values(one.values)
        if one.kind == "union":
            return self._union(one)
        if one.kind == "tuple":
            items = [self.schema(part) for part in one.parts]
            return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
        if one.kind == "array":
            return {"type": "array", "items": self.schema(one.parts[0]), **_constraints(one)}
        if one.kind == "map":
            made: Schema = {"type": "object", "additionalProperties": self.schema(one.parts[1]), **_constraints(one)}
            if (key := self._key(one.parts[0])) is not None:
                made["propertyNames"] = key
            return made
        if one.kind == "other":
            raise TypeError(f"{one.type} has no schema: {one.wrong}")
        return {**_SCALARS[one.kind], **_constraints(one)}

    def _key(self, key: Shape) -> Schema | None:
        if key.kind == "int":
            return {"pattern": "^-?(0|[1-9][0-9]{0,17})$"}
        made = self.schema(key)
        made.pop("type", None)
        return made or None

    def _union(self, one: Shape) -> Schema:
        made: Schema = {"anyOf": [self.schema(part) for part in one.parts]}
        tagged = [part.struct for part in one.parts if part.struct is not None and part.struct.tag is not None]
        if len(tagged) > 1 and len(tagged) == len(one.parts):
            mapping = {str(struct.tag): REF + self.refs[struct.type] for struct in tagged}
            made["discriminator"] = {"propertyName": tagged[0].tag_field, "mapping": mapping}
        return made


def describe(cls: type) -> str:
    """A class's own docstring."""
    doc = cls.__dict__.get("__doc__")
    return inspect.cleandoc(doc) if doc else ""


def _values(values: tuple[Any, ...]) -> Schema:
    made: Schema = {"enum": list(values)}
    kinds = {str: "string", int: "integer", bool: "boolean", type(None): "null"}
    types = list(dict.fromkeys(kinds[type(value)] for value in values))
    made["type"] = types[0] if len(types) == 1 else types
    return made


def _constraints(one: Shape) -> Schema:
    keywords = _KEYWORDS.get(one.kind, {})
    made = {keyword: value for name, keyword in keywords.items() if (value := one.constraint(name)) is not None}
    if one.kind == "bytes":
        for name, keyword in (("min_length", "minLength"), ("max_length", "maxLength")):
            if (value := one.constraint(name)) is not None:
                made[keyword] = 4 * ((value + 2) // 3)
    return made


def _name(type_: Any) -> str:
    """`Order`, `OrderPage` for `Page[Order]`."""
    origin = get_origin(type_)
    if origin is Annotated:
        return _name(get_args(type_)[0])
    parts = [_name(arg) for arg in get_args(type_) if arg is not Ellipsis]
    if origin not in (Union, UnionType):
        parts.append(re.sub(r"[^A-Za-z0-9_.-]", "", getattr(origin or type_, "__name__", "")))
    return "".join(part[:1].upper() + part[1:] for part in parts)


def _folder(module: str) -> str:
    parts = [part for part in module.split(".") if part not in ("contract", "__main__")]
    return parts[-1] if parts else module
