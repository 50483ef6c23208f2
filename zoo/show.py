"""``saecli zoo show``: what a file, a folder or a name of the zoo is, without running or importing anything of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from saecli.core.config import OutputConfig, argument, option
from saecli.core.errors import InputError, UsageError, did_you_mean
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from zoo.index import find_data, find_model, find_release, listing

if TYPE_CHECKING:
    from torch import Tensor

    from saecli.core.dictionary import Dictionary
    from saecli.formats.registry import Item

_ENTRY_FACTS: Final = ("model", "processing", "data", "suite", "labels")
_HEADINGS: Final = ("name", "site", "architecture", "sizes", "encoder norms", "decoder norms", "thresholds", "recorded")
_RECORDED: Final = {"l0": "L0", "variance_explained": "variance explained", "dead_share": "dead"}
_SIZES: Final = {
    "layers": ("n_layer", "num_hidden_layers"),
    "width": ("n_embd", "hidden_size"),
    "heads": ("n_head", "num_attention_heads"),
    "context": ("n_positions", "max_position_embeddings"),
    "tokens": ("vocab_size",),
}
"""What sizes are called in configurations."""
_UNIT: Final = 1e-3
"""How far the norms of decoder rows may lie from 1 to be called unit norms."""


@dataclass(frozen=True, kw_only=True)
class ShowConfig(OutputConfig):
    """What `saecli zoo show` is asked."""

    command: ClassVar[str] = "zoo show"

    target: str = argument(help="A file, a folder, or a name of the zoo.", complete="models", input=False)
    include: tuple[str, ...] = option((), help="Only the dictionaries whose name fits this pattern.", metavar="GLOB")
    site: str | None = option(
        None, help="Where a dictionary reads (and writes), if its files do not say.", metavar="SITE[>SITE]"
    )

    probe: bool = option(
        False, help="Check on 1,000 tokens that they do on their model what is recorded of them.", flag="--probe"
    )
    model: str | None = option(
        None, help="The model to probe with, if it is not the one they name.", complete="models", metavar="MODEL"
    )


@dataclass(frozen=True)
class Spread:
    """Least, middle and largest of a dictionary's numbers."""

    least: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Tensor) -> Spread:
        values = values.float().flatten()
        return cls(float(values.min()), float(values.median()), float(values.max()))

    def __str__(self) -> str:
        if self.largest - self.least <= _UNIT * abs(self.largest):
            return f"{self.median:.4g}"
        return f"{self.least:.3g}..{self.median:.3g}..{self.largest:.3g}"


@dataclass(frozen=True)
class ShownDictionary:
    """One dictionary."""

    name: str
    architecture: str
    reads: str
    writes: str
    d_in: int
    n_latents: int
    d_out: int
    options: dict[str, Any]
    encoder_norms: Spread
    decoder_norms: Spread
    thresholds: Spread | None
    measured: dict[str, float]
    notes: list[str]


@dataclass(frozen=True)
class ShownProbe:
    """One dictionary on its model."""

    site: str
    tokens: int
    l0: float
    variance_explained: float
    recorded_l0: float | None
    recorded_variance_explained: float | None

    def __str__(self) -> str:
        def against(value: float | None) -> str:
            return "" if value is None else f" (recorded {value:.3g})"

        return (
            f"{self.site}: L0 {self.l0:.3g}{against(self.recorded_l0)}, variance explained "
            f"{self.variance_explained:.3g}{against(self.recorded_variance_explained)}, {self.tokens:,} tokens"
        )


@dataclass(frozen=True, kw_only=True)
class ShowResult(Result):
    """What something is."""

    schema: ClassVar[str] = "saecli.show/1"

    target: str = field_doc("Target", "What was asked for.")
    kind: str = field_doc("Kind", "model, dictionaries, connections, graph, shards, data or release.")
    format: str = field_doc("Format", "The format on disk; empty for a name that is not here yet.")
    facts: dict[str, Any] = field_doc("Facts", "What is known beside the dictionaries.")
    dictionaries: list[ShownDictionary] = field_doc("Dictionaries", "One entry each; norms are of rows.")
    probe: list[ShownProbe] = field_doc("Probe", "With --probe: each dictionary on about 1,000 tokens.", default=())
    notes: list[str] = field_doc("Notes", "What is odd.")

    def summary_lines(self) -> list[str]:
        lines = [f"{self.target}: {self.kind}" + (f", {self.format}" if self.format else "")]
        lines += [
            f"  {name.replace('_', ' ')}: {value}" for name, value in self.facts.items() if value not in ("", None)
        ]
        lines += _table(self.dictionaries) if self.dictionaries else []
        lines += [f"probe {row}" for row in self.probe]
        return lines + [f"Note: {note}" for note in self.notes]


def run(config: ShowConfig, progress: Progress) -> ShowResult:
    """The engine of the command.

    Raises:
        UsageError: Neither a path nor a name.
        InputError: Nothing that is known, or damaged.
    """
    path = Path(config.target)
    shown = _show_path(config, path, progress) if path.exists() else _show_name(config, progress)
    return replace(shown, probe=_probe(config, shown)) if config.probe else shown


def _probe(config: ShowConfig, shown: ShowResult) -> list[ShownProbe]:
    from zoo.load import load_model, load_suite, load_vocabulary
    from zoo.probing import require_probe

    if not shown.dictionaries:
        raise UsageError(f"{config.target} has no dictionaries to probe.")
    suite = load_suite(config.target)
    name = config.model or suite.info.model
    if not name:
        raise UsageError(f"{config.target} does not name its model.", "Name it with --model.")
    model = load_model(name, suite.info.processing)
    rows = require_probe(model, suite.attach(model), load_vocabulary(name))
    return [
        ShownProbe(
            suite.label(row.site),
            row.tokens,
            row.l0,
            row.variance_explained,
            row.recorded_l0,
            row.recorded_variance_explained,
        )
        for row in rows
    ]


def _show_name(config: ShowConfig, progress: Progress) -> ShowResult:
    """A name of the zoo: what the zoo knows of it, and its files where they are here."""
    from zoo.load import locate_model, locate_suite

    name = config.target
    if found := find_data(name.removeprefix("data:")):
        facts = {"source": found[1].source, "about": found[1].description, "tokenizer": found[1].tokenizer}
        return ShowResult(target=name, kind="data", format="", facts=facts, dictionaries=[], notes=[])
    found = find_model(name) or find_release(name)
    if found is None:
        hint = did_you_mean(name, [row.name for row in listing()]) or "`saecli zoo list` lists the names."
        raise UsageError(f"{name!r} is neither a path nor a name of the zoo.", hint)
    family, entry = found
    facts: dict[str, Any] = {"family": family.name, "source": entry.source, "about": entry.description}
    facts |= {key: getattr(entry, key) for key in _ENTRY_FACTS if getattr(entry, key, "")}
    parts, notes = [], []
    for find, locate in ((find_model, locate_model), (find_release, locate_suite)):
        if find(name):
            try:
                parts.append(_show_path(config, locate(name), progress))
            except InputError as error:
                notes.append(error.message)
                notes.append(error.hint)
    return ShowResult(
        target=name,
        kind="model" if find_model(name) else "dictionaries",
        format=next((part.format for part in parts if part.dictionaries), parts[0].format if parts else ""),
        facts=facts | {key: value for part in parts for key, value in part.facts.items() if value and key not in facts},
        dictionaries=[one for part in parts for one in part.dictionaries],
        notes=notes + [note for part in parts for note in part.notes],
    )


def _show_path(config: ShowConfig, path: Path, progress: Progress) -> ShowResult:
    from saecli.formats.registry import search
    from zoo.load import open_dictionaries

    if not search(path) and (shown := _other(config, path)):
        return shown
    found = open_dictionaries(str(path), site=config.site).only(config.include)
    shown = []
    for number, item in enumerate(found.items, 1):
        shown.append(_dictionary(item))
        progress("reading", number, len(found.items))
    facts = {
        "dictionaries": len(found.items),
        "model": ", ".join(sorted({item.model for item in found.items} - {""})),
        "processing": ", ".join(sorted({item.processing for item in found.items} - {""})),
        "context": max(item.context for item in found.items) or None,
    }
    return ShowResult(
        target=config.target,
        kind="dictionaries",
        format=found.format,
        facts=facts,
        dictionaries=shown,
        notes=list(found.notes),
    )


def _other(config: ShowConfig, path: Path) -> ShowResult | None:
    """What holds no dictionaries: shards, graphs, connections, models; None if it is none of these."""
    for look in (_shards, _graph, _connections, _model):
        if found := look(path):
            kind, form, facts, notes = found
            return ShowResult(
                target=config.target, kind=kind, format=form, facts=facts, dictionaries=[], notes=list(notes)
            )
    return None


Look = tuple[str, str, dict[str, Any], Sequence[str]]
"""Kind, format, facts and notes."""


def _shards(path: Path) -> Look | None:
    from saecli.data.shards import SPLITS, is_shards, open_shards

    if not is_shards(path):
        return None
    shards = open_shards(path)
    facts = {"vocabulary": shards.vocabulary, **{f"{split} tokens": f"{shards.tokens(split):,}" for split in SPLITS}}
    return "shards", "saecli" if shards.header else "gpt-circuits", facts, [shards.note] if shards.note else []


def _graph(path: Path) -> Look | None:
    from saecli.core.graph import FeatureGraph
    from saecli.formats.documents import read_document
    from saecli.formats.neuronpedia_graph import MAX_BYTES, graph_kind, read_graph

    kind = graph_kind(path) if path.is_file() else ""
    if not kind:
        return None
    own = kind == "saecli"
    graph = FeatureGraph.from_json(read_document(path, "a circuit graph", MAX_BYTES)) if own else read_graph(path)
    facts = {
        "title": graph.title,
        "method": graph.method,
        "metric": f"{graph.metric.name} = {graph.metric.value:.4g}",
        "sites": " ".join(graph.sites),
        "nodes": len(graph.nodes),
        "edges": len(graph.edges),
    }
    return "graph", kind, facts, []


def _connections(path: Path) -> Look | None:
    from saecli.formats import connections
    from saecli.formats.scae_connections import read_scae_connections

    if not path.is_file() or path.suffix not in (".pkl", ".safetensors"):
        return None
    notes: Sequence[str] = ()
    if path.suffix == ".pkl":
        found, notes = read_scae_connections(path)
    elif connections.sniff(path):
        found = connections.read_connections(path)
    else:
        return None
    rule = found.rule if found.limit is None else f"{found.rule}, {found.limit}"
    facts = {
        "model": found.model,
        "modules": len(found.modules),
        "rule": rule,
        "connections": f"{found.n_edges:,}",
        "score": found.score,
    }
    return "connections", "scae" if path.suffix == ".pkl" else "saecli", facts, notes


def _model(path: Path) -> Look | None:
    from math import prod

    from saecli.formats.safe import safetensors_header
    from zoo.huggingface import CONFIG, read_config
    from zoo.load import family_of

    try:
        family = family_of(path)
    except InputError:
        return None
    document = read_config(path) if (path / CONFIG).is_file() else {}
    note = document.get("saecli")
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    headers = [safetensors_header(file) for file in files if file.suffix == ".safetensors"]
    facts = {
        "family": family.name,
        "model type": document.get("model_type"),
        "vocabulary": note.get("vocabulary") if isinstance(note, dict) else family.vocabulary,
        **{label: next((document[key] for key in keys if key in document), None) for label, keys in _SIZES.items()},
        "parameters": f"{sum(prod(one.shape) for header in headers for one in header.values()):,}" if headers else None,
        "number types": " ".join(sorted({one.dtype for header in headers for one in header.values()})),
        "bytes": f"{sum(file.stat().st_size for file in files):,}",
    }
    return "model", family.name, facts, []


def _dictionary(item: Item) -> ShownDictionary:
    import torch

    dictionary = item.load(torch.float32)
    config = item.config
    thresholds = getattr(dictionary, "threshold_F", None)
    return ShownDictionary(
        name=item.name,
        architecture=config.arch,
        reads=str(config.reads),
        writes=str(config.writes),
        d_in=config.d_in,
        n_latents=config.n_latents,
        d_out=config.d_out,
        options=dict(config.options),
        encoder_norms=Spread.of(dictionary.W_enc_DF.norm(dim=0)),
        decoder_norms=Spread.of(dictionary.decoder_norms()),
        thresholds=None if thresholds is None else Spread.of(thresholds),
        measured=dict(item.measured),
        notes=[*item.notes, *_oddities(dictionary)],
    )


def _oddities(dictionary: Dictionary) -> list[str]:
    """What a reader of the numbers should be told."""
    found = []
    broken = [name for name, value in dictionary.state_dict().items() if not bool(value.isfinite().all())]
    if broken:
        found.append(f"numbers that are not finite in {', '.join(broken)}")
    silent = int((dictionary.decoder_norms() == 0).sum())
    if silent:
        found.append(f"{silent:,} decoder rows are zero")
    deaf = int((dictionary.W_enc_DF.norm(dim=0) == 0).sum())
    if deaf:
        found.append(f"{deaf:,} encoder columns are zero")
    thresholds = getattr(dictionary, "threshold_F", None)
    if thresholds is not None and bool((thresholds <= 0).any()):
        found.append(f"{int((thresholds <= 0).sum()):,} thresholds are not positive: ReLU decides there")
    return found


def _table(dictionaries: Sequence[ShownDictionary]) -> list[str]:
    """One line per dictionary, aligned, and the notes of each below it."""
    rows = [_HEADINGS, *(_cells(one) for one in dictionaries)]
    kept = [column for column in range(len(_HEADINGS)) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in kept}
    lines = ["  ".join(row[column].ljust(widths[column]) for column in kept).rstrip() for row in rows]
    return lines[:1] + [
        text
        for line, one in zip(lines[1:], dictionaries, strict=True)
        for text in (line, *(f"    note: {note}" for note in one.notes))
    ]


def _cells(one: ShownDictionary) -> tuple[str, ...]:
    options = [f"{key}={value}" for key, value in one.options.items() if not isinstance(value, list | dict)]
    recorded = [f"{short} {one.measured[name]:.3g}" for name, short in _RECORDED.items() if name in one.measured]
    return (
        one.name if one.name not in (one.reads, "") else "",
        one.reads if one.reads == one.writes else f"{one.reads}>{one.writes}",
        " ".join([one.architecture, *options]),
        f"{one.d_in}>{one.n_latents}>{one.d_out}",
        str(one.encoder_norms),
        str(one.decoder_norms),
        "" if one.thresholds is None else str(one.thresholds),
        ", ".join(recorded),
    )
