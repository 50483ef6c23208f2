"""Tables of connections: between which modules they are, degrees, blocks skipped, importance kept, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from saecli.connect.gather import Gathered
from saecli.core.connections import Connections, Module

Table = list[dict[str, Any]]
COLUMNS: Final = {
    "connections": ("file", "down", "up", "connections", "possible", "size"),
    "degrees": ("file", "direction", "degree", "features"),
    "skips": ("file", "blocks", "connections", "share", "possible_share"),
    "importance": ("site", "c", "kept", "features"),
    "agreement": ("site", "c", "overlap", "by_chance", "correlation", "features"),
}
"""Columns of each table, by the name of its file."""
_STEPS: Final = (1, 2, 5)


def pair_rows(file: str, connections: Connections) -> Table:
    """How many connections every pair of modules has, and the sizes of their scores together."""
    width = {module.reads: module.n_latents for module in connections.modules}
    return [
        {
            "file": file,
            "down": str(down),
            "up": str(up),
            "connections": len(rows.indices),
            "possible": width[down] * width[up],
            "size": None if rows.scores is None else float(rows.scores.double().abs().sum()),
        }
        for (down, up), rows in connections.rows.items()
    ]


def degree_rows(file: str, connections: Connections, possible: Connections) -> Table:
    """How many features depend on so many (``in``), and how many are used by so many (``out``); of modules that can."""
    downs, ups = ({pair[side] for pair in possible.pairs} for side in (0, 1))
    degrees = {
        "in": [connections.in_degree(module.reads) for module in connections.modules if module.reads in downs],
        "out": [_out_degree(connections, module) for module in connections.modules if module.reads in ups],
    }
    return [
        {"file": file, "direction": direction, "degree": degree, "features": count}
        for direction, parts in degrees.items()
        for degree, count in enumerate(torch.cat(parts).bincount().tolist())
        if count
    ]


def skip_rows(file: str, connections: Connections, possible: Connections, layers: int) -> Table:
    """How many connections reach over so many blocks, beside the share of all that are possible."""
    there, width = dict[int, int](), {module.reads: module for module in connections.modules}
    everything = dict.fromkeys(range(layers + 1), 0)
    for down, up in possible.pairs:
        blocks = down.layer - up.layer
        everything[blocks] += width[down].n_latents * width[up].n_latents
        if (down, up) in connections.rows:
            there[blocks] = there.get(blocks, 0) + len(connections.rows[down, up].indices)
    total, all_of_them = sum(there.values()), sum(everything.values())
    return [
        {
            "file": file,
            "blocks": blocks,
            "connections": there.get(blocks, 0),
            "share": there.get(blocks, 0) / total if total else None,
            "possible_share": count / all_of_them,
        }
        for blocks, count in everything.items()
        if count
    ]


def importance_rows(found: Gathered) -> Table:
    """The share of the sizes of a feature's scores that its C strongest have, mean over features with any."""
    rows: Table = []
    for kept in found.modules:
        sizes_FK, whole_F = kept.ranked.scores_RK.double().abs(), kept.sizes_F.double()
        live_F = whole_F > 0
        if not live_F.any():
            continue
        share_FK = (sizes_FK[live_F].cumsum(1) / whole_F[live_F, None]).clamp_max(1)
        count = int(live_F.sum())
        for c in _grid(share_FK.shape[1]):
            value = float(share_FK[:, c - 1].mean())
            rows.append({"site": str(kept.down.site), "c": c, "kept": value, "features": count})
    return rows


def kept_share(connections: Connections, found: Gathered) -> float | None:
    """The share of the sizes of a feature's scores that its connections have, mean over features with any score."""
    shares: list[Tensor] = []
    for kept in found.modules:
        whole_F = kept.sizes_F.double()
        sum_F = torch.zeros_like(whole_F)
        for up in kept.down.ups:
            rows = connections.rows.get((kept.down.site, up.reads))
            if rows is not None and rows.scores is not None:
                row_E = torch.arange(len(whole_F)).repeat_interleave(rows.indptr.diff())
                sum_F.index_add_(0, row_E, rows.scores.double().abs())
        shares.append((sum_F / whole_F)[whole_F > 0].clamp_max(1))
    together = torch.cat(shares)
    return float(together.mean()) if len(together) else None


def agreement_rows(found: Gathered, counts: Sequence[int]) -> Table:
    """Agreement of the halves of the data, module by module."""
    return [
        {
            "site": str(kept.down.site),
            "c": c,
            "overlap": kept.agreement.mean_overlap(c),
            "by_chance": min(1.0, c / kept.down.width),
            "correlation": kept.agreement.mean_correlation,
            "features": kept.agreement.rows,
        }
        for kept in found.modules
        for c in counts
        if kept.agreement.rows
    ]


def _out_degree(connections: Connections, module: Module) -> Tensor:
    total = torch.zeros(module.n_latents, dtype=torch.int64)
    for (_, up), rows in connections.rows.items():
        if up == module.reads:
            total += rows.indices.long().bincount(minlength=module.n_latents)
    return total


def _grid(most: int) -> list[int]:
    """1, 2, 5, 10, … up to the largest."""
    steps = [step * 10**power for power in range(len(str(most))) for step in _STEPS]
    return sorted({one for one in (*steps, most) if one <= most})
