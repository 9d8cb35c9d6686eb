"""Renders docs/reference/config.md from the schema: `python -m pypackager.config.reference > docs/reference/config.md`."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from typing import Any

import msgspec

from pypackager.config import schema
from pypackager.control.settings import Track

_TABLES = (
    (schema.Config, "top level"),
    (schema.Listen, "[listen]"),
    (schema.Tls, "[[tls]]"),
    (schema.Access, "[access]"),
    (schema.Tuning, "[tuning]"),
    (schema.Channel, "[[channel]]"),
    (Track, "[[channel.track]]"),
    (schema.Program, "[[channel.program]]"),
    (schema.Locator, "[channel.program.locator]"),
    (schema.StreamingEndpoint, "[[streaming_endpoint]]"),
)
_OWN_SECTION = ("listen", "tls", "access", "tuning", "channel", "streaming_endpoint", "track", "program")


def render_reference() -> str:
    """The whole page."""
    parts = [
        "# The configuration file",
        "",
        "Generated from the schema (`python -m pypackager.config.reference`); a test keeps it equal. Unknown keys, wrong types and",
        "impossible values stop the start with file, line and key. Durations are written `500ms`, `2s`, `5m`, `1h30m`. At every start,",
        "and when SIGHUP has the file loaded again, channels, programs, locators and streaming endpoints are brought in line with it",
        "as far as their states allow ([states](states.md)); `pypackager serve --plan` prints what a start would do. Certificates",
        "([[tls]]) are exchanged then too. The other tables take effect at a start.",
    ]
    for struct, title in _TABLES:
        parts += [
            "",
            f"## {title}",
            "",
            (inspect.getdoc(struct) or "").strip(),
            "",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
        ]
        meanings = _attribute_docs(struct)
        for field in _fields(struct):
            if field.name in _OWN_SECTION and struct in (schema.Config, schema.Channel):
                continue
            parts.append(f"| `{field.name}` | {_type(field.type)} | {_default(field)} | {meanings[field.name]} |")
    return "\n".join(parts) + "\n"


def _fields(struct: Any) -> list[msgspec.structs.FieldInfo]:
    """Those of its own first, then those that it shares."""
    own = [field for field in msgspec.structs.fields(struct) if field.name in struct.__annotations__]
    return own + [field for field in msgspec.structs.fields(struct) if field.name not in struct.__annotations__]


def _attribute_docs(struct: type) -> dict[str, str]:
    shared = _attribute_docs(struct.__base__) if struct.__base__ not in (None, msgspec.Struct) else {}
    return shared | _own_docs(struct)


def _own_docs(struct: type) -> dict[str, str]:
    body = [node for top in ast.parse(inspect.getsource(struct)).body if isinstance(top, ast.ClassDef) for node in top.body]
    found: dict[str, str] = {}
    for here, after in pairwise(body):
        if isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name) and isinstance(after, ast.Expr):
            found[here.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found


def _type(kind: Any) -> str:
    text = str(msgspec.inspect.type_info(kind).__class__.__name__).removesuffix("Type").lower()
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.LiteralType):
        return " or ".join(f"`{value}`" for value in sorted(map(str, info.values)))
    if isinstance(info, msgspec.inspect.UnionType):
        return " or ".join(_of(part) for part in info.types if not isinstance(part, msgspec.inspect.NoneType))
    if isinstance(info, msgspec.inspect.ListType):
        return f"list of {_of(info.item_type)}"
    return {"str": "text", "int": "number", "bool": "true or false", "dict": "table"}.get(text, text)


def _of(info: msgspec.inspect.Type) -> str:
    if isinstance(info, msgspec.inspect.LiteralType):
        return " or ".join(f"`{value}`" for value in sorted(map(str, info.values)))
    name = info.__class__.__name__.removesuffix("Type").lower()
    return {"struct": "table", "datetime": "date-time", "str": "text", "int": "number", "bool": "true or false"}.get(name, name)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return "" if field.default is None else f"`{_toml(field.default)}`"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{_toml(field.default_factory())}`"
    return "required"


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    sys.stdout.write(render_reference())
