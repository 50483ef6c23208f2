"""How wide the dictionaries of a staircase are, and which of them share weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from saecli.core.errors import UsageError
from saecli.core.model import ModelInfo
from saecli.core.site import Site
from saecli.train.recipes import STAIRCASES
from saecli.train.settings import Sharing

if TYPE_CHECKING:
    from saecli.train.sae_config import SaeTable, TrainSaeConfig
    from saecli.train.trainer import TrainerConfig


def check_staircase(table: SaeTable, config: TrainSaeConfig) -> None:
    """Refuse what a staircase cannot have, and its flags for what is none.

    Raises:
        UsageError: So it is.
    """
    if table.arch not in STAIRCASES:
        for name, usual in {"widths": "", "sharing": "weights", "stairs": "sites"}.items():
            if (value := getattr(table, name)) != usual:
                raise UsageError(
                    f"--{name} {value} is of a staircase, not of --arch {table.arch}.",
                    "Try --arch staircase.",
                )
        return
    if config.activations:
        raise UsageError(f"--arch {table.arch} is for several sites of a model, and --activations are of one.")
    if table.sharing != "none" and config.init == "active-subspace":
        raise UsageError(
            "--init active-subspace is where the vectors of one site vary, and a staircase has directions of all.",
            "Try --init random, or --sharing none.",
        )


def step_widths(
    table: SaeTable, sites: Sequence[tuple[Site, Site]], values: Mapping[str, Any], info: ModelInfo
) -> list[tuple[tuple[Site, Site], dict[str, Any]]]:
    """The sites of a table with the values of each: of a staircase in order of depth, each with its own ``latents``.

    Raises:
        UsageError: Widths that shrink, a list of another length, or sites that no staircase can have.
    """
    if table.arch not in STAIRCASES:
        return [(one, dict(values)) for one in sites]
    if transcoder := next((one for one in sites if one[0] != one[1]), None):
        raise UsageError(f"A staircase is of autoencoders, and {transcoder[0]}>{transcoder[1]} is none.")
    placed = []
    for stairs in _groups(table, sites):
        widths = {info.width(reads) for reads, _ in stairs}
        if len(widths) > 1 and table.sharing != "none":
            raise UsageError(
                f"{_named(stairs)} have vectors of {' and '.join(map(str, sorted(widths)))} dimensions, and a "
                f"staircase shares its weights among them.",
                "Choose sites of one width, or --sharing none.",
            )
        counts = _latents(table, [info.width(reads) for reads, _ in stairs], values, _named(stairs))
        placed += [(one, {**values, "latents": count}) for one, count in zip(stairs, counts, strict=True)]
    return placed


def with_sharing(table: SaeTable, plans: Sequence[TrainerConfig], number: int, *, own_lr: bool) -> list[TrainerConfig]:
    """The plans of a table with what they share.

    Args:
        table: Whose they are, in the order of :func:`step_widths`.
        plans: Of one suite.
        number: The table's, so that two tables of one suite share nothing.
        own_lr: Whether learning rates follow from widths; what is shared has that of the narrowest, whose features
            every dictionary trains.
    """
    if table.arch not in STAIRCASES or table.sharing == "none":
        return list(plans)
    sites = [(plan.dictionary.reads, plan.dictionary.writes) for plan in plans]
    shared, at = [], 0
    for place, stairs in enumerate(_groups(table, sites)):
        mine = plans[at : at + len(stairs)]
        at += len(stairs)
        ends = sorted({plan.dictionary.n_latents for plan in mine})
        lr = max(plan.settings.lr for plan in mine) if own_lr else mine[0].settings.lr
        for plan in mine:
            chunks = tuple(end for end in ends if end <= plan.dictionary.n_latents)
            one_scale = table.sharing == "b-dec" or plan.recipe == "jumprelu"
            sharing = Sharing(f"{number}.{place}", table.sharing, chunks, one_scale)
            shared.append(replace(plan, sharing=sharing, settings=replace(plan.settings, lr=lr)))
    return shared


def _groups(table: SaeTable, sites: Sequence[tuple[Site, Site]]) -> list[list[tuple[Site, Site]]]:
    """The sites of every staircase, each in order of depth."""
    if table.stairs == "sites":
        return [sorted(sites)]
    blocks: dict[int, list[tuple[Site, Site]]] = {}
    for one in sites:
        blocks.setdefault(one[0].layer, []).append(one)
    for layer, stairs in blocks.items():
        if len(stairs) != len(table.kind) or len(stairs) < 2:
            there = _named(stairs)
            raise UsageError(
                f"--stairs blocks: block {layer} has {there} alone of --kind {' and '.join(table.kind)}.",
                "Choose kinds that every block has, such as --kind resid_mid --kind resid_post.",
            )
    return [sorted(stairs) for _, stairs in sorted(blocks.items())]


def _latents(table: SaeTable, widths: Sequence[int], values: Mapping[str, Any], where: str) -> list[int]:
    """Features of every dictionary of one staircase."""
    if not table.widths:
        return [int(values["latents"]) * step for step in range(1, len(widths) + 1)]
    parts = [part.strip() for part in table.widths.split(",")]
    if len(parts) != len(widths):
        raise UsageError(
            f"--widths {table.widths} has {len(parts)} widths, and there are {len(widths)} sites: {where}.",
            "Give one for every site, in order of depth.",
        )
    counts = []
    for part, width in zip(parts, widths, strict=True):
        number = part.removesuffix("x")
        if not number.isdecimal() or not int(number):
            raise UsageError(f"--widths {table.widths}: {part!r} is neither a number nor a multiple such as 8x.")
        counts.append(int(number) * (width if part.endswith("x") else 1))
    for before, after in pairwise(counts):
        if after < before or (after == before and table.sharing == "detached"):
            how = "shrinks" if after < before else "stays"
            rule = "each trains what is new in it" if after == before else "a staircase grows with depth"
            raise UsageError(f"--widths {table.widths} {how} from {before} to {after}, and {rule}.")
    return counts


def _named(stairs: Sequence[tuple[Site, Site]]) -> str:
    return ", ".join(str(reads) for reads, _ in stairs)
