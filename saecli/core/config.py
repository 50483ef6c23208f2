"""A command's configuration: one frozen dataclass is the schema of its flags, its TOML keys and its manifest.

    @dataclass(frozen=True, kw_only=True)
    class TraceConfig(SitesMixin, ModelConfigMixin, SharedConfig):
        command: ClassVar[str] = "trace"
        model: str = argument("othello-mini", help="Model to trace.", complete="models", input=True)
        top_nodes: int = option(20, help="Nodes kept per site.", minimum=1)

Values come from, strongest first: a flag, `--config FILE`, `--template NAME`, the default of the field. `resolve`
applies that order and keeps the source of every value for `--show-config`. Field types are `str`, `int`, `float`,
`bool`, any of them with `| None`, `tuple[T, ...]` of them (a repeatable flag), and `tuple[SomeDataclass, ...]`
(`option(table=...)`: TOML tables such as `[[sae]]`, which have no flag).

This module imports the standard library only, so that help and completion stay fast.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from saecli.core.errors import UsageError, did_you_mean
from saecli.core.template import references, values_for

META = "saecli"
"""Key of an `Option` in a dataclass field's metadata."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field of a configuration knows beside its name, type and default."""

    help: str
    positional: bool = False
    flag: str | None = None
    short: str | None = None
    choices: tuple[str, ...] | None = None
    complete: str | None = None
    panel: str | None = None
    metavar: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    input: bool = False
    session: bool = False
    fingerprint: bool = True
    table: type | None = None


def option(
    default: Any,
    *,
    help: str,
    flag: str | None = None,
    short: str | None = None,
    choices: Iterable[str] | None = None,
    complete: str | None = None,
    panel: str | None = None,
    metavar: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    input: bool = False,
    session: bool = False,
    fingerprint: bool = True,
    table: type | None = None,
) -> Any:
    """Declares one `--flag` of a command.

    Args:
        default: The value when nobody says otherwise.
        help: One line for `--help`, ending in a full stop.
        flag: The flag's spelling; `--name-with-dashes` if not given (booleans also get `--no-name`, unless given).
        short: A one-letter form such as `-k`.
        choices: The only values allowed.
        complete: What the shell completes it with: `models`, `suites`, `kinds`, `archs`, `templates`, `files`, `dirs`.
        panel: The heading it stands under in `--help`.
        metavar: The placeholder in `--help`.
        minimum: The smallest value allowed (numbers only; each item of a tuple).
        maximum: The largest value allowed.
        input: The value names a file, a folder or an embedded model; its sha256 goes into manifest and fingerprint.
        session: Says how this call behaves, not what it computes: flag only, never in TOML, never in the fingerprint.
        fingerprint: False for what changes neither the result nor its place (memory limits, thread counts).
        table: The dataclass of a nested TOML table; such an option has no flag.
    """
    meta = Option(
        help=help,
        flag=flag,
        short=short,
        choices=tuple(choices) if choices is not None else None,
        complete=complete,
        panel=panel,
        metavar=metavar,
        minimum=minimum,
        maximum=maximum,
        input=input,
        session=session,
        fingerprint=fingerprint and not session,
        table=table,
    )
    return dataclasses.field(default=default, metadata={META: meta})


def argument(
    default: Any = None, *, help: str, metavar: str | None = None, complete: str | None = None, input: bool = True
) -> Any:
    """Declares the positional argument of a command: the thing acted on (see `option` for the parameters)."""
    meta = Option(help=help, positional=True, metavar=metavar, complete=complete, input=input)
    return dataclasses.field(default=default, metadata={META: meta})


@dataclass(frozen=True, kw_only=True)
class ConfigField:
    """One field of a configuration class with its type taken apart."""

    name: str
    base: type
    optional: bool
    many: bool
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """The long flag, as typed by users; for a positional argument its name in capitals."""
        if self.option.positional:
            return self.option.metavar or self.name.upper()
        return (self.option.flag or "--" + self.name.replace("_", "-")).split("/")[0]


@dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """Base of every command's configuration. Checks its own values when made, by the CLI or from Python alike."""

    command: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for item in config_fields(type(self)):
            object.__setattr__(self, item.name, checked(item, getattr(self, item.name), f"{item.flag}"))
        self.validate()

    def validate(self) -> None:
        """Checks that involve several fields; raises `UsageError`."""

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """Returns what is hashed for the manifest and the fingerprint, by field: the values of fields with `input`."""
        given = {item.name: getattr(self, item.name) for item in config_fields(type(self)) if item.option.input}
        return {name: value if isinstance(value, tuple) else (value,) for name, value in given.items() if value}

    def values(self) -> dict[str, Any]:
        """Returns every field as plain JSON values, in declaration order."""
        return {item.name: plain(getattr(self, item.name)) for item in config_fields(type(self))}


@dataclass(frozen=True, kw_only=True)
class OutputConfig(CommandConfig):
    """The flags every command has: what to print."""

    json: bool = option(
        False, help="Print one JSON document instead of text.", flag="--json", session=True, panel="Output"
    )
    quiet: bool = option(
        False, help="Print nothing but the result and errors.", flag="--quiet", short="-q", session=True, panel="Output"
    )


@dataclass(frozen=True, kw_only=True)
class CallConfig(OutputConfig):
    """The flags of a command with a plan and values from files."""

    plan: bool = option(False, help="Say what would be done and stop.", flag="--plan", session=True, panel="Run")
    config: str | None = option(
        None,
        help="TOML file with values for these flags.",
        session=True,
        metavar="FILE",
        complete="files",
        panel="Configuration",
    )
    template: str | None = option(
        None,
        help="Named template with values for these flags.",
        session=True,
        metavar="NAME",
        complete="templates",
        panel="Configuration",
    )
    show_config: bool = option(
        False,
        help="Print every value and where it comes from, and stop.",
        flag="--show-config",
        session=True,
        panel="Configuration",
    )


@dataclass(frozen=True, kw_only=True)
class PlaceConfig(CallConfig):
    """The flags of a command that keeps its results in a run directory."""

    out: str | None = option(
        None,
        help="Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.",
        session=True,
        metavar="DIR",
        complete="dirs",
        panel="Run",
    )
    overwrite: bool = option(
        False, help="Replace an earlier run in that directory.", flag="--overwrite", session=True, panel="Run"
    )

    @property
    def is_latest(self) -> bool:
        """Whether ``saecli-runs/latest-COMMAND`` points to a run of this configuration once it is complete."""
        return self.out is None


@dataclass(frozen=True, kw_only=True)
class SharedConfig(PlaceConfig):
    """The flags every command that computes something has."""

    seed: int = option(0, help="Seed of everything random.", minimum=0, maximum=2**32 - 1, panel="Run")
    threads: int = option(
        0, help="CPU threads; 0 means one per physical core.", minimum=0, fingerprint=False, panel="Run"
    )


@dataclass(frozen=True, kw_only=True)
class MemoryMixin(CommandConfig):
    """The flag of a command that finds out beforehand whether it fits."""

    max_memory: str | None = option(
        None,
        help="Memory to stay below, such as 4G; what is free if not given.",
        metavar="SIZE",
        fingerprint=False,
        panel="Machine",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.max_memory_bytes

    @property
    def max_memory_bytes(self) -> int | None:
        """The memory limit in bytes, or None."""
        return None if self.max_memory is None else parse_bytes(self.max_memory, "--max-memory")


@dataclass(frozen=True, kw_only=True)
class ModelConfigMixin(MemoryMixin):
    """The flags of a command that runs a model."""

    device: str = option("auto", help="Where to compute.", choices=("auto", "cpu", "cuda", "mps"), panel="Machine")
    dtype: str = option(
        "auto",
        help="Number type of the model.",
        choices=("auto", "float32", "bfloat16", "float16", "float64"),
        panel="Machine",
    )
    batch_size: str = option(
        "auto", help="Items computed together: a number or auto.", metavar="N|auto", fingerprint=False, panel="Machine"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.batch_items

    @property
    def batch_items(self) -> int | None:
        """The batch size as a number, or None for auto."""
        if self.batch_size == "auto":
            return None
        if not self.batch_size.isdecimal() or int(self.batch_size) < 1:
            raise UsageError(f"--batch-size {self.batch_size} is neither a positive number nor auto.")
        return int(self.batch_size)


@dataclass(frozen=True, kw_only=True)
class SitesMixin(CommandConfig):
    """The flags that choose sites of a model."""

    layers: str = option(
        ":", help="Layers as a Python slice of the site labels, such as 6:9.", metavar="SLICE", panel="Sites"
    )
    kind: tuple[str, ...] = option(
        (),
        help="Site kinds to use; all the suite has if not given. Repeatable.",
        metavar="KIND",
        complete="kinds",
        panel="Sites",
    )


@dataclass(frozen=True, kw_only=True)
class UsualSitesMixin(CommandConfig):
    """The flags that choose sites for a command that looks at one if nobody chooses (``Suite.usual_sites``)."""

    layers: str | None = option(
        None,
        help="Layers as a Python slice of the site labels, such as 4:7. If neither this nor --kind is given, of a "
        "suite with several residual sites the one at five eighths of the depth, else every dictionary.",
        metavar="SLICE",
        panel="Sites",
    )
    kind: tuple[str, ...] = option(
        (), help="Site kinds to use. Repeatable.", metavar="KIND", complete="kinds", panel="Sites"
    )


@dataclass(frozen=True, kw_only=True)
class ResumeMixin(CommandConfig):
    """The flag of a command that continues an unfinished run of the same configuration (it does so unasked)."""

    resume: bool = option(
        False,
        help="Insist on continuing: an error if there is no unfinished run.",
        flag="--resume",
        session=True,
        panel="Run",
    )


def config_fields(config_class: type) -> list[ConfigField]:
    """Returns the fields of a configuration class: positional first, then the class's own, then those of its bases."""
    hints = typing.get_type_hints(config_class)
    by_name = {f.name: f for f in dataclasses.fields(config_class)}
    order: list[str] = []
    for base in config_class.__mro__:
        order += [name for name in vars(base).get("__annotations__", {}) if name in by_name and name not in order]
    result = [_config_field(config_class, by_name[name], hints[name]) for name in order]
    return sorted(result, key=lambda item: not item.option.positional)


def _config_field(config_class: type, item: dataclasses.Field[Any], hint: Any) -> ConfigField:
    meta = item.metadata.get(META) or Option(help="")
    optional = many = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        optional, hint = True, inner[0] if len(inner) == 1 else None
    if typing.get_origin(hint) is tuple:
        many, hint = True, typing.get_args(hint)[0]
    if not (hint in (str, int, float, bool) or (meta.table is not None and hint is meta.table)):
        raise TypeError(f"{config_class.__name__}.{item.name}: unsupported type of a configuration field")
    return ConfigField(name=item.name, base=hint, optional=optional, many=many, default=item.default, option=meta)


def checked(item: ConfigField, value: Any, where: str) -> Any:
    """Returns the value in the field's type, or raises a `UsageError` that begins with `where`."""
    if value is None and item.optional:
        return None
    if item.many:
        if not isinstance(value, list | tuple):
            value = (value,)
        return tuple(_checked_one(item, one, where) for one in value)
    return _checked_one(item, value, where)


def _checked_one(item: ConfigField, value: Any, where: str) -> Any:
    meta = item.option
    if meta.table is not None:
        return value if isinstance(value, meta.table) else _table(meta.table, value, where)
    if item.base is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if item.base is str and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if type(value) is not item.base:
        raise UsageError(f"{where} expects {_TYPE_NAMES[item.base]}, got {value!r}.")
    if meta.choices is not None and value not in meta.choices:
        hint = did_you_mean(str(value), meta.choices)
        raise UsageError(f"{where} {value}: must be one of {', '.join(meta.choices)}.", hint)
    if isinstance(value, float) and math.isnan(value):
        raise UsageError(f"{where} must be a number, got nan.")
    if meta.minimum is not None and value < meta.minimum:
        raise UsageError(f"{where} must be at least {meta.minimum:g}, got {value}.")
    if meta.maximum is not None and value > meta.maximum:
        raise UsageError(f"{where} must be at most {meta.maximum:g}, got {value}.")
    return value


_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _table(table: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} expects tables such as [[{where}]], got {value!r}.")
    known = {item.name: item for item in config_fields(table)}
    given = {}
    for key, one in value.items():
        name = _known_key(key, known, where)
        given[name] = checked(known[name], one, f"{where}.{name}")
    return table(**given)


def _known_key(key: str, known: Mapping[str, ConfigField], where: str) -> str:
    name = key.replace("-", "_")
    if name not in known:
        hint = did_you_mean(name, known) or f"Known keys: {', '.join(known)}."
        raise UsageError(f"{where}: unknown key {key!r}.", hint)
    return name


@dataclass(frozen=True)
class Resolved:
    """A configuration and where each of its values comes from."""

    config: Any
    sources: dict[str, str]


def resolve(config_class: type[CommandConfig], flags: Mapping[str, Any]) -> Resolved:
    """Applies flag > --config > --template > default.

    Args:
        config_class: The command's configuration class.
        flags: Only the flags the user gave, by field name.

    Raises:
        UsageError: An unknown key, a wrong type, a value out of range.
        InputError: A file or template that is not there or is no TOML.
    """
    from saecli.core.resources import template_path

    layers = []
    for kind, located in (("template", template_path), ("config", Path)):
        if not (name := flags.get(kind)):
            continue
        source = f"{kind} {name}"
        table = values_for(located(name), config_class.command, source)
        for key in [key for key, value in table.items() if references(value)]:
            if key.replace("-", "_") not in flags:
                problem = f"{source}: {key} is {table[key]!r}, in the results of another step."
                raise UsageError(problem, f"Say which {key}, or run all steps: saecli run {name}.")
            del table[key]
        layers.append((source, table))
    return layered(config_class, layers, flags)


def layered(
    config_class: type[CommandConfig], layers: Iterable[tuple[str, Mapping[str, Any]]], flags: Mapping[str, Any]
) -> Resolved:
    """Applies layers of values to the defaults, later ones over earlier ones, flags over all.

    Args:
        config_class: The command's configuration class.
        layers: Where values come from, as messages and `--show-config` call it, and the values.
        flags: The flags of this call, by field name.

    Raises:
        UsageError: An unknown key, a wrong type, a value out of range, a flag of one call in a layer.
    """
    known = {item.name: item for item in config_fields(config_class)}
    values: dict[str, Any] = {}
    sources = dict.fromkeys(known, "default")
    for source, table in layers:
        for key, value in table.items():
            name = _known_key(key, known, source)
            if known[name].option.session:
                raise UsageError(f"{source}: {key!r} is a flag of one call and cannot be set in a file.")
            values[name] = checked(known[name], value, f"{source}: {name}")
            sources[name] = source
    for name, value in flags.items():
        values[name] = checked(known[name], value, known[name].flag)
        sources[name] = "flag"
    return Resolved(config_class(**values), sources)


def plain(value: Any) -> Any:
    """Returns a configuration value as plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def fingerprint(config: CommandConfig, inputs: Mapping[str, str] | None = None) -> str:
    """Returns 8 hex digits that name what a run computes: command, version, configuration and sha256 of the inputs.

    Fields that say how this call behaves (`session`) or that do not change the result (`fingerprint=False`) do not
    count. An input counts by its content, not by its path.
    """
    from saecli import __version__

    inputs = dict(inputs or {})
    fields = {
        item.name: plain(getattr(config, item.name))
        for item in config_fields(type(config))
        if item.option.fingerprint and item.name not in inputs
    }
    document = {"command": config.command, "version": __version__, "config": fields, "inputs": inputs}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:8]


def parse_bytes(text: str, where: str = "size") -> int:
    """Returns the bytes of a size such as `512M`, `4G`, `1.5GiB` (powers of 1024)."""
    body = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(body[-1:], 1)
    number = body[:-1] if unit > 1 else body
    try:
        size = int(float(number) * unit)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where} {text}: expected a size such as 512M or 4G.") from error
    if size < 1:
        raise UsageError(f"{where} {text}: must be more than nothing.")
    return size


def threshold(text: str | None, flag: str) -> float:
    """A threshold such as ``0.05`` or ``2**-4``; 0 for none.

    Raises:
        UsageError: Neither.
    """
    if text is None:
        return 0.0
    base, power, exponent = text.partition("**")
    try:
        value = float(base) ** float(exponent) if power else float(base)
    except (ValueError, OverflowError, ZeroDivisionError):
        value = -1.0
    if isinstance(value, complex) or not 0 <= value < float("inf"):
        raise UsageError(f"{flag} {text} is no threshold.", "Write a number such as 0.05, or a power such as 2**-4.")
    return value
