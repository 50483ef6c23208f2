"""Dictionaries on disk, whatever their format: found out by one ``sniff``, opened by one function.

A format is one module of this package with

* ``NAME`` and ``TITLE``: ``sparsify``, ``EleutherAI sparsify``;
* ``sniff(path) -> bool``: whether a file or folder is of this format, by file names, key names and headers alone;
* ``open(path, hints) -> Found``: what it holds, from headers where the format has headers; weights are read by
  :attr:`Item.load`. Names of tensors decide their orientation, never shapes;
* ``write(...)``, where this project writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo

FORMATS: Final[dict[str, str]] = {
    "saecli": "saecli.formats.suite",
    "gpt-circuits": "saecli.formats.gpt_circuits",
    "openmoss": "saecli.formats.openmoss",
    "scae": "saecli.formats.scae",
    "saelens": "saecli.formats.saelens",
    "dictionary_learning": "saecli.formats.dictionary_learning",
    "gemma-scope": "saecli.formats.gemma_scope",
    "gemma-scope-2": "saecli.formats.gemma_scope_2",
    "sparsify": "saecli.formats.sparsify",
    "openai": "saecli.formats.openai",
    "circuit-tracer": "saecli.formats.circuit_tracer",
}
"""Format → module, in the order in which they are asked: a format with a file of its own name before those without."""


@dataclass(frozen=True)
class Hints:
    """What the user or the zoo knows about files that do not say it themselves. None and empty mean: unknown.

    Attributes:
        reads, writes: The site read, and the one written (for a transcoder).
        kind: Kind of the sites where the files tell the layer alone: ``mlp_post``, ``mlp_in>mlp_out``.
        model: Name of the model.
        processing: Weight processing of the model.
        norm_scale: What the inputs were multiplied by in training, where the files lack it: one number, or one per
            layer.
    """

    reads: Site | None = None
    writes: Site | None = None
    kind: str = ""
    model: str = ""
    processing: Literal["raw", "folded", ""] = ""
    norm_scale: float | tuple[float, ...] | None = None

    @classmethod
    def parse(cls, site: str | None, **known: Any) -> Hints:
        """Hints with the sites of ``12.resid_post`` or ``12.mlp_in>12.mlp_out``; ``known`` are the other fields.

        Raises:
            UsageError: No site.
        """
        if site is None:
            return cls(**known)
        reads, _, writes = site.partition(">")
        return cls(Site.parse(reads), Site.parse(writes or reads), **known)

    def scale_at(self, layer: int) -> float | None:
        """What inputs in a layer were multiplied by; None if unknown."""
        if not isinstance(self.norm_scale, tuple):
            return self.norm_scale
        return self.norm_scale[layer] if layer < len(self.norm_scale) else None

    def at(self, layer: int) -> tuple[Site, Site] | None:
        """Sites read and written in a layer, as :attr:`kind` says; None if it says nothing."""
        if not self.kind:
            return None
        reads, _, writes = self.kind.partition(">")
        return Site(layer, reads), Site(layer, writes or reads)


@dataclass(frozen=True)
class Item:
    """One dictionary on disk.

    Attributes:
        name: Path below what was opened, empty for a lone dictionary.
        config: What it is.
        files: The files it is read from.
        load: Reads it in a number type; frozen, in evaluation.
        model: Name of its model as the files or the hints give it; empty if unknown.
        processing: Weight processing of that model; empty if unknown.
        context: Positions per sequence it was trained on; 0 if unknown.
        prepends_bos: Whether sequences began with BOS; None if unknown.
        metadata: More that the files say, as plain JSON values.
        measured: Values recorded with it: ``l0``, ``variance_explained``.
        notes: What is odd, one sentence each.
    """

    name: str
    config: DictionaryConfig
    files: tuple[Path, ...]
    load: Callable[[torch.dtype], Dictionary]
    model: str = ""
    processing: Literal["raw", "folded", ""] = ""
    context: int = 0
    prepends_bos: bool | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a file or folder holds.

    Attributes:
        format: Name of the format, ``mixed`` for a folder of several.
        path: What was opened.
        items: Its dictionaries, in the order of their names.
        notes: What is odd about the whole, one sentence each.
    """

    format: str
    path: Path
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    def only(self, patterns: Sequence[str]) -> Found:
        """Only the dictionaries whose name fits one of the patterns; all of them without patterns.

        Raises:
            UsageError: None fits.
        """
        items = tuple(one for one in self.items if not patterns or any(fnmatchcase(one.name, p) for p in patterns))
        if not items:
            raise UsageError(
                f"{' '.join(patterns)} fits no dictionary of {self.path}.",
                f"There are {', '.join(one.name or str(one.config.reads) for one in self.items[:5])}.",
            )
        return replace(self, items=items)

    def suite(self, name: str, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> Suite:
        """The dictionaries as the suite of one model.

        Raises:
            InputError: Two dictionaries read one site, or they belong to several models.
        """
        by_site: dict[Site, Item] = {}
        for item in self.items:
            if other := by_site.get(item.config.reads):
                raise InputError(
                    f"{self.path} has several dictionaries at {item.config.reads}: {other.name}, {item.name}.",
                    "Name the folder of one.",
                )
            by_site[item.config.reads] = item
        for what in ("model", "processing"):
            if len(values := sorted({getattr(item, what) for item in self.items} - {""})) > 1:
                raise InputError(f"{self.path} has dictionaries of more than one {what}: {', '.join(values)}.")
        first = next((item for item in self.items if item.model), self.items[0])
        kinds = {item.config.reads.kind for item in self.items}
        info = SuiteInfo(
            name=name,
            model=first.model,
            processing=next((item.processing for item in self.items if item.processing), "raw"),  # pyright: ignore[reportArgumentType]
            residual="resid_post" if "resid_post" in kinds else "resid_pre",
            context=max(item.context for item in self.items),
            measured={site: item.measured for site, item in by_site.items() if item.measured},
        )
        return Suite(
            info, [item.config for item in by_site.values()], lambda site: by_site[site].load(dtype).to(device)
        )


def sniff(path: Path) -> str:
    """Name of the format of a file or folder, empty if it is none that is known.

    Nothing of it is executed or imported; at most headers are read.
    """
    return next((name for name, module in FORMATS.items() if import_module(module).sniff(path)), "")


def open_dictionaries(path: Path, hints: Hints | None = None) -> Found:
    """Open a file or folder of dictionaries in any format; a folder of such folders is opened as one.

    Args:
        path: A file or folder.
        hints: What is known beside it.

    Raises:
        InputError: Nothing there, nothing that is known, or damaged.
    """
    if not path.exists():
        raise InputError(f"There is no {path}.")
    hints = hints or Hints()
    found = [_open(name, where, hints) for name, where in search(path)]
    if not found:
        titles = ", ".join(import_module(module).TITLE for module in FORMATS.values())
        raise InputError(f"{path} holds no dictionary in a format that is known.", f"Known formats: {titles}.")
    if len(found) == 1 and found[0].path == path:
        return found[0]
    items = [
        replace(item, name="/".join(filter(None, (one.path.relative_to(path).as_posix(), item.name))))
        for one in found
        for item in one.items
    ]
    formats = {one.format for one in found}
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return Found(formats.pop() if len(formats) == 1 else "mixed", path, tuple(items), notes)


def open_suite(path: Path, name: str = "", hints: Hints | None = None, **options: Any) -> Suite:
    """Open a file or folder as the suite of one model; ``options`` are :meth:`Found.suite`'s.

    Raises:
        InputError: See :func:`open_dictionaries` and :meth:`Found.suite`.
    """
    from saecli.formats.suite import is_suite, read_suite

    if is_suite(path):
        return read_suite(path, name=name, **options)
    return open_dictionaries(path, hints).suite(name or str(path), **options)


def site_of(where: Path, told: Site | None, hints: Hints) -> Site:
    """The site a dictionary reads: what the hints say, else what its files say.

    Raises:
        InputError: Neither does.
    """
    if site := hints.reads or told:
        return site
    raise InputError(
        f"{where} does not say at which site of the model it reads.", "Say it with --site, for example 8.resid_post."
    )


def _open(name: str, path: Path, hints: Hints) -> Found:
    try:
        return import_module(FORMATS[name]).open(path, hints)
    except UsageError as error:  # a config that no dictionary can have
        raise InputError(f"{path}: {error.message}", error.hint) from error


def search(path: Path, depth: int = 5) -> list[tuple[str, Path]]:
    """Format and place of every dictionary, or folder of dictionaries, at a path or up to ``depth`` folders below.

    Of the files below a folder only those of torch are looked at.
    """
    if name := sniff(path):
        return [(name, path)]
    if not path.is_dir() or not depth:
        return []
    below = sorted(
        child
        for child in path.iterdir()
        if (child.is_dir() or child.suffix == ".pt") and not child.name.startswith(".")
    )
    return [found for child in below for found in search(child, depth - 1)]
