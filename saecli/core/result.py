"""What an engine returns: a frozen dataclass whose fields explain themselves.

    @dataclass(frozen=True, kw_only=True)
    class TraceResult(Result):
        schema: ClassVar[str] = "saecli.trace/1"
        nodes: int = field_doc("Nodes", "Features kept in the graph.")

        def summary_lines(self) -> list[str]:
            return [f"{self.nodes} nodes"]

        def next_command(self) -> str:
            return "saecli validate {run}"

        def failure(self) -> SaecliError | None:
            return None if self.nodes else CheckFailed("No feature was kept.", "Keep more.")

`--json` prints it, `saecli schema COMMAND` prints its JSON schema, and the run directory keeps it as result.json.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from saecli.core.errors import SaecliError

META = "saecli.doc"


def field_doc(title: str, description: str, *, default: Any = dataclasses.MISSING) -> Any:
    """Declares a field of a result with its title and its meaning (unit and sign included)."""
    metadata = {META: (title, description)}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of every command's result. Holds no times and no paths, so that a repeated run gives the same bytes."""

    schema: ClassVar[str] = ""

    def summary_lines(self) -> list[str]:
        """Returns what a person wants to read at the end, a few lines."""
        return []

    def next_command(self) -> str:
        """Returns the next sensible command; `{run}` in it stands for the run directory."""
        return ""

    def failure(self) -> SaecliError | None:
        """Returns what is wrong although there is a result: a check that failed, items of a group that failed.

        The result is stored and printed, then the sentence, and the program exits with the error's code.
        """
        return None


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of one width: the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join((row[0].ljust(widths[0]), *(text.rjust(n) for text, n in zip(row[1:], widths[1:], strict=True))))
        for row in rows
    ]


def to_json(result: Result) -> dict[str, Any]:
    """Returns the result as a JSON document that begins with its schema."""
    return {"schema": result.schema, **_json(result)}


def _json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if callable(to_list := getattr(value, "tolist", None)):
        return _json(to_list())
    raise TypeError(f"{type(value).__name__} has no place in a JSON result")


def json_schema(result_class: type[Result], *, keeps_run: bool = True) -> dict[str, Any]:
    """Returns the JSON schema of what `--json` prints for this result.

    Args:
        result_class: The class of the result.
        keeps_run: False for a command that has no run directory.
    """
    body = _object(result_class)
    properties: dict[str, Any] = {
        "schema": {"const": result_class.schema, "title": "Schema", "description": "Name and major version."},
        "command": {"type": "string", "title": "Command", "description": "The command that made it."},
    }
    if keeps_run:
        properties["run_directory"] = {
            "type": "string",
            "title": "Run directory",
            "description": "Where the files are.",
        }
        properties["reused"] = {
            "type": "boolean",
            "title": "Reused",
            "description": "True if the same run was already complete and nothing was computed.",
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": result_class.schema,
        "type": "object",
        "properties": {**properties, **body["properties"]},
        "required": [*properties, *body["required"]],
        "additionalProperties": False,
    }


def _object(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    properties = {}
    for item in dataclasses.fields(cls):
        title, description = item.metadata.get(META, (item.name, ""))
        properties[item.name] = {"title": title, "description": description, **_type_schema(hints[item.name])}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}


def _type_schema(hint: Any) -> dict[str, Any]:
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type_schema(arg) for arg in args]}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin is list or (origin is tuple and args[-1] is Ellipsis):
        return {"type": "array", "items": _type_schema(args[0])}
    if origin is tuple:
        return {
            "type": "array",
            "prefixItems": [_type_schema(arg) for arg in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin is dict:
        return {"type": "object", "additionalProperties": _type_schema(args[1])}
    raise TypeError(f"no JSON schema for {hint!r}")
