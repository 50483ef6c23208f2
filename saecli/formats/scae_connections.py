"""Connections as jacobcd52/dictionary_learning writes them: a pickle of ``dict[down][up]`` → LongTensor [F_down, C].

Modules are called ``attn_3`` (reads and writes attn_out) and ``mlp_3`` (a transcoder from mlp_in to mlp_out); row j
lists the upstream features of feature j, padded with −1. The tensors usually lived on a GPU; nothing of the pickle is
executed (:mod:`saecli.formats.safe`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from saecli.core.connections import Connections, Module, Rows, indptr_of
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.safe import load_torch, read_pickled_values

_MODULE: Final = re.compile(r"(attn|mlp)_(\d{1,4})")
_SITES: Final = {"attn": ("attn_out", "attn_out"), "mlp": ("mlp_in", "mlp_out")}


class ScaeConnections(NamedTuple):
    """Connections, and what was odd about their file, one sentence each."""

    connections: Connections
    notes: tuple[str, ...]


def read_scae_connections(
    path: Path, *, widths: int | Mapping[Site, int] | None = None, parallel: bool = False, model: str = ""
) -> ScaeConnections:
    """Read a connection pickle (or a ``.pt`` file with the same content).

    Args:
        path: The file.
        widths: Number of features, of all modules or by the site they read; taken from the rows if not given.
        parallel: Whether the model's blocks run attention and MLP in parallel (Pythia).
        model: Name of the model.

    Raises:
        InputError: Missing, damaged, one that needs code, or connections that no such suite can have.
    """
    values = load_torch(path) if path.suffix in (".pt", ".pth") else read_pickled_values(path)
    return from_padded(values, where=str(path), widths=widths, parallel=parallel, model=model)


def from_padded(
    values: Any,
    *,
    where: str,
    widths: int | Mapping[Site, int] | None = None,
    parallel: bool = False,
    model: str = "",
) -> ScaeConnections:
    """The same from values in memory, such as the entry ``connections`` of a checkpoint.

    None and ``"all"`` mean that every feature depends on all upstream ones; the widths must then be given by site. A
    −1 is skipped wherever it stands. Pairs of attention and MLP of one block are left out of models with parallel
    blocks, since nothing passes between them and the reference's own forward pass ignores them; a note counts them.
    """
    if values is None or values == "all":
        if not isinstance(widths, Mapping):
            raise InputError(f"{where} connects all features and does not say between which modules.")
        modules = tuple(_module_at(site, width) for site, width in sorted(widths.items()))
        return ScaeConnections(Connections(modules, "all", parallel=parallel, model=model), ())
    blocks = _blocks(values, where)
    notes: list[str] = []
    modules = _modules(values, blocks, widths, where, notes)
    rows: dict[tuple[Site, Site], Rows] = {}
    ignored = repeated = 0
    for (down_name, up_name), block in blocks.items():
        down, up = modules[down_name], modules[up_name]
        if parallel and (down.reads.layer, down.reads.kind, up.reads.kind) == (up.reads.layer, "mlp_in", "attn_out"):
            ignored += int((block >= 0).sum())
            continue
        rows[down.reads, up.reads], twice = _rows(block, up, f"{where}: {down_name} from {up_name}")
        repeated += twice
    if ignored:
        notes.append(
            f"{ignored:,} connections lead from the attention to the MLP of one block, where a model of parallel "
            "blocks passes nothing; they count toward the limit of their features and are left out."
        )
    if repeated:
        notes.append(f"{repeated:,} connections stand twice in their row and are kept once.")
    limit = max((block.shape[1] for block in blocks.values()), default=0)
    try:
        connections = Connections(tuple(modules.values()), "per-feature", None, rows, parallel, "", model)
        if (most := connections.most_per_feature) > limit:
            notes.append(f"A feature has {most} connections where its rows have {limit} places per upstream module.")
        connections = replace(connections, limit=max(limit, most))
    except UsageError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    return ScaeConnections(connections, tuple(notes))


def _blocks(values: Any, where: str) -> dict[tuple[str, str], Tensor]:
    """(downstream, upstream) names → [F_down, C]."""
    if not isinstance(values, Mapping) or not values or not all(isinstance(ups, Mapping) for ups in values.values()):
        raise InputError(f"{where} holds no connections: expected a dict of dicts of tensors by module name.")
    blocks = {(down, up): block for down, ups in values.items() for up, block in ups.items()}
    for (down, up), block in blocks.items():
        if not (isinstance(block, Tensor) and block.ndim == 2 and block.dtype in (torch.int64, torch.int32)):
            what = f"{block.dtype} {tuple(block.shape)}" if isinstance(block, Tensor) else type(block).__name__
            raise InputError(f"{where} has {what} for {down} from {up}, expected whole numbers [features, places].")
    return blocks


def _modules(
    values: Mapping[str, Any],
    blocks: Mapping[tuple[str, str], Tensor],
    widths: int | Mapping[Site, int] | None,
    where: str,
    notes: list[str],
) -> dict[str, Module]:
    """Name → module, in the order of computation; widths from what is given, else from the rows."""
    counted: dict[str, set[int]] = {name: set() for name in (*values, *(up for _, up in blocks))}
    for (down, _), block in blocks.items():
        counted[down].add(block.shape[0])
    everywhere = set().union(*counted.values())
    modules: dict[str, Module] = {}
    guessed = []
    for name, rows in counted.items():
        site = _site(name, where)
        known = widths if isinstance(widths, int) else widths.get(site) if widths is not None else None
        told = {known} if known is not None else rows or everywhere
        if len(told | rows) != 1:
            found = ", ".join(map(str, sorted(told | rows))) or "none is given"
            raise InputError(f"{where} does not tell the number of features of {name}: {found}.")
        if known is None and not rows:
            guessed.append(name)
        modules[name] = _module_at(site, told.pop())
    if guessed:
        names = ", ".join(sorted(guessed))
        notes.append(f"The file does not say how many features {names} has; it is taken to be as wide as the others.")
    return dict(sorted(modules.items(), key=lambda item: item[1].reads))


def _site(name: Any, where: str) -> Site:
    match = _MODULE.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise InputError(f"{where} has the module {str(name)[:80]!r}, expected names such as attn_3 and mlp_3.")
    return Site(int(match[2]), _SITES[match[1]][0])


def _module_at(site: Site, width: int) -> Module:
    return Module(site, Site(site.layer, dict(_SITES.values())[site.kind]), width)


def _rows(block_FC: Tensor, up: Module, where: str) -> tuple[Rows, int]:
    """Rows of a padded block, and how many entries stood twice in their row."""
    outside = block_FC[(block_FC < -1) | (block_FC >= up.n_latents)]
    if len(outside):
        raise InputError(f"{where} names feature {int(outside[0])}, and there are 0..{up.n_latents - 1}.")
    used_FC = block_FC >= 0
    row_E = torch.arange(len(block_FC)).repeat_interleave(used_FC.sum(1))
    indices_E = block_FC[used_FC].to(torch.int64)
    distinct_U, inverse_E = (row_E * up.n_latents + indices_E).unique(return_inverse=True)
    first_U = torch.full_like(distinct_U, len(inverse_E))
    first_U.scatter_reduce_(0, inverse_E, torch.arange(len(inverse_E)), "amin")
    kept_E = first_U.sort().values
    counts_F = row_E[kept_E].bincount(minlength=len(block_FC))
    return Rows(indptr_of(counts_F), indices_E[kept_E].to(torch.int32)), len(indices_E) - len(kept_E)
