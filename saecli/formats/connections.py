"""Connections on disk: one ``connections.safetensors`` (schema ``saecli.connections/1``).

The schema stands in the file's metadata beside ``header``, a JSON document with everything but the rows. The rows of
downstream site D and upstream site U are the tensors ``D|U|indptr`` (int64), ``D|U|indices`` (int32) and, with scores,
``D|U|scores`` (float32), for example ``3.mlp_in|2.attn_out|indices``. A module of the header that is an end of the
model and no dictionary says so: ``"what": "tokens"`` or ``"logits"``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from safetensors.torch import save as serialise
from torch import Tensor

from saecli.core.atomic import write_bytes
from saecli.core.connections import Connections, Module, Rows, What
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.safe import load_safetensors, safetensors_header, safetensors_metadata

NAME: Final = "connections.safetensors"
SCHEMA: Final = "saecli.connections"
MAJOR: Final = 1
HINT: Final = "Fetch or write it again."

_PARTS: Final = {"indptr": "I64", "indices": "I32", "scores": "F32"}
_TEXTS: Final = ("score", "model", "model_fingerprint", "suite_fingerprint")


def write_connections(connections: Connections, path: Path) -> None:
    """Write a file, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for (down, up), rows in connections.rows.items():
        for part in _PARTS:
            if (values := getattr(rows, part)) is not None:
                tensors[f"{down}|{up}|{part}"] = values.contiguous()
    header = {
        "modules": [
            {"reads": str(one.reads), "writes": str(one.writes), "features": one.n_latents}
            | ({} if one.what == "features" else {"what": one.what})
            for one in connections.modules
        ],
        "rule": connections.rule,
        "limit": connections.limit,
        "parallel": connections.parallel,
        **{name: getattr(connections, name) for name in _TEXTS},
        **({"details": dict(connections.details)} if connections.details else {}),
    }
    metadata = {"schema": f"{SCHEMA}/{MAJOR}", "header": json.dumps(header, sort_keys=True)}
    write_bytes(path, _in_order(serialise(tensors, metadata)))


def sniff(path: Path) -> bool:
    """Whether a file holds connections of this format, by its header."""
    try:
        return str(safetensors_metadata(path).get("schema", "")).startswith(f"{SCHEMA}/")
    except InputError:
        return False


def read_connections(path: Path) -> Connections:
    """Read a file.

    Raises:
        InputError: Missing, damaged, of another schema or a newer major version, or with tensors that do not fit.
    """
    metadata = safetensors_metadata(path)
    name, _, major = metadata.get("schema", "").partition("/")
    if name != SCHEMA:
        raise InputError(f"{path} is no file of connections: its schema is {metadata.get('schema')!r}.")
    if major != str(MAJOR):
        raise InputError(f"{path} has schema {name}/{major}, and this saecli reads {SCHEMA}/{MAJOR}.", "Update saecli.")
    try:
        header = json.loads(metadata["header"])
        modules = tuple(_module(one) for one in header.pop("modules"))
        rule, limit, parallel = (header.pop(key) for key in ("rule", "limit", "parallel"))
        texts = {key: header.pop(key) for key in _TEXTS}
        details = header.pop("details", {})
        if header or not (limit is None or type(limit) is int) or type(parallel) is not bool:
            raise ValueError("it has an unknown key or a wrong type")
        if not all(isinstance(text, str) for text in (*texts.values(), *details)):
            raise ValueError("it has a wrong type")
        if not all(type(value) in (str, int) for value in details.values()):
            raise ValueError("it has a wrong type")
        rows = _rows(path, {one.reads: one for one in modules})
        return Connections(modules, rule, limit, rows, parallel, **texts, details=details)
    except UsageError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} has a damaged header: {error}.", HINT) from error


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order; the library writes them in an order of chance."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _module(entry: Mapping[str, Any]) -> Module:
    keys, what = set(entry) - {"what"}, entry.get("what", "features")
    if keys != {"reads", "writes", "features"} or type(entry["features"]) is not int or entry["features"] < 0:
        raise ValueError(f"{entry!r} is no module")
    if what not in get_args(What):
        raise ValueError(f"a module has {what!r}, expected {', '.join(get_args(What))}")
    return Module(Site.parse(entry["reads"]), Site.parse(entry["writes"]), entry["features"], what)


def _rows(path: Path, modules: Mapping[Site, Module]) -> dict[tuple[Site, Site], Rows]:
    """Every tensor is one of a pair of the file's modules, of the right type and length, before any is read."""
    names = {f"{down}|{up}|{part}": (down, up, part) for down in modules for up in modules for part in _PARTS}
    stored = safetensors_header(path)
    for name, header in stored.items():
        if name not in names:
            raise InputError(f"{path} has the unknown tensor {name}.", HINT)
        down, up, part = names[name]
        length = modules[down].n_latents + 1 if part == "indptr" else header.shape[0] if header.shape else 0
        if header != (_PARTS[part], (length,)):
            expected = f"{_PARTS[part]} ({length},)"
            raise InputError(f"{path} has {name} as {header.dtype} {header.shape}, expected {expected}.", HINT)
        if missing := {f"{down}|{up}|{other}" for other in ("indptr", "indices")} - stored.keys():
            raise InputError(f"{path} has no tensor {min(missing)}.", HINT)
    result: dict[tuple[Site, Site], dict[str, Tensor]] = {}
    for name, values in load_safetensors(path).items():
        down, up, part = names[name]
        result.setdefault((down, up), {})[part] = values
    return {pair: Rows(**parts) for pair, parts in result.items()}
