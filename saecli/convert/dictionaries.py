"""Dictionaries of any format into another: written, read back, and compared before the folder appears."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.convert.config import ConvertConfig
from saecli.convert.engine import destination, refuse_if_there
from saecli.convert.result import ConvertedDictionary, ConvertResult
from saecli.core.atomic import write_text
from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError, UsageError
from saecli.core.machine import DTYPES
from saecli.core.progress import Progress
from saecli.core.result import to_json
from saecli.core.site import Site
from saecli.dictionaries.jumprelu import from_topk
from saecli.formats.registry import FORMATS, Hints, Item
from saecli.formats.registry import open_dictionaries as read_back
from zoo.load import open_dictionaries

MARK: Final = "converted.json"
"""File in every folder made here: what was converted, and how far the result is from it."""

_ROWS: Final = 512
_MIXED: Final = 8
_SCALES: Final = (1, 4, 16, 64, 256, 1024, 4096)
_EXACT: Final = 1e-5
"""Largest difference, relative to the largest value, of a conversion that loses nothing."""
_FLIPPED: Final = 1e-4
"""Largest share of active features that rounding may flip in one."""


def convert(config: ConvertConfig, progress: Progress) -> ConvertResult:
    """Convert one source.

    Raises:
        UsageError: Several sources, a choice that fits nothing, or a dictionary that the format cannot hold or that
            cannot become what ``--as`` names.
        InputError: The source cannot be read, or the result differs from it and ``--lossy`` was not given.
    """
    if len(config.sources) != 1:
        raise UsageError(f"convert --to {config.to} takes one source, not {len(config.sources)}.")
    found = open_dictionaries(config.sources[0], site=config.site, norm_scale=config.norm_scale)
    items = found.only(config.include).items
    if config.plan:
        refuse_if_there(config, MARK)
        way = f"from {found.format} to {config.to}" + (f", as {config.become}" if config.become else "")
        steps = tuple(f"{_name(item)}: {item.config.arch}, {way}" for item in items)
        return ConvertResult(to=str(config.to), destination=config.destination, steps=steps)
    with destination(config, MARK) as folder:
        made = _write(config, items, folder, progress)
        result = ConvertResult(to=str(config.to), destination=config.destination, dictionaries=tuple(made))
        write_text(folder / MARK, json.dumps(to_json(result), indent=1) + "\n")
    return result


def _write(config: ConvertConfig, items: Sequence[Item], folder: Path, progress: Progress) -> list[ConvertedDictionary]:
    """Write, read back, compare; one dictionary after the other where the format allows it."""
    for what in ("model", "processing"):
        if len(values := sorted({getattr(item, what) for item in items})) > 1:
            shown = " and ".join(value or "unknown" for value in values)
            raise InputError(
                f"{config.sources[0]} has dictionaries of more than one {what}: {shown}.",
                "Choose those of one with --include.",
            )
    dictionaries = {item.name: item.load(torch.float32) for item in items}
    before = {name: dictionary.config.arch for name, dictionary in dictionaries.items()}
    if config.become:
        dictionaries = {name: from_topk(dictionary) for name, dictionary in dictionaries.items()}
    first = items[0]
    facts: dict[str, Any] = {"model": first.model, "context": first.context, "prepends_bos": first.prepends_bos}
    facts["processing"] = first.processing
    import_module(FORMATS[str(config.to)]).write(dictionaries, folder, DTYPES[config.dtype], **facts)
    hints = Hints(model=first.model, processing=first.processing)
    again: dict[Site, dict[str, Item]] = {}
    for item in read_back(folder, hints).items:
        again.setdefault(item.config.reads, {})[item.name] = item
    made = []
    for number, (name, dictionary) in enumerate(dictionaries.items(), 1):
        here = again[dictionary.config.reads]  # names are kept where a format allows several at one site
        item = here[name] if len(here) > 1 else next(iter(here.values()))
        made.append(replace(_compare(name, dictionary, item), architecture=before[name]))
        progress("comparing", number, len(dictionaries))
    worst = max(made, key=lambda one: (one.difference, one.flipped_share))
    if not config.lossy and (worst.difference > _EXACT or worst.flipped_share > _FLIPPED):
        raise InputError(
            f"As {config.to} in {config.dtype}, {worst.name} would differ by {worst.encode_difference:.1e} in its "
            f"activations and {worst.decode_difference:.1e} in its reconstructions (relative to the largest), with "
            f"{worst.flipped_share:.2%} of active features flipped.",
            "Add --lossy to accept that.",
        )
    return made


@torch.no_grad()
def _compare(name: str, before: Dictionary, item: Item) -> ConvertedDictionary:
    """Compare on inputs that activate both. A feature at its very threshold may flip by rounding: such features are
    counted, and their rows are left out of the reconstructions."""
    after = item.load(torch.float32)
    x_TD = inputs(before)
    ours_TF, theirs_TF = before.encode(x_TD), after.encode(x_TD)
    flipped_TF = (ours_TF != 0) != (theirs_TF != 0)
    same_T = ~flipped_TF.any(-1)
    return ConvertedDictionary(
        name=name or str(before.config.reads),
        reads=str(before.config.reads),
        writes=str(before.config.writes),
        architecture=before.config.arch,
        becomes=item.config.arch,
        encode_difference=_difference(ours_TF.where(~flipped_TF, 0), theirs_TF.where(~flipped_TF, 0)),
        decode_difference=_difference(before(x_TD[same_T]), after(x_TD[same_T])),
        flipped_share=float(flipped_TF.sum() / (ours_TF != 0).sum().clamp_min(1)),
    )


def inputs(dictionary: Dictionary) -> Tensor:
    """[T, d_in] inputs that activate it: random mixtures of its own encoder directions and noise, scaled until most
    rows have an active feature."""
    generator = torch.Generator().manual_seed(0)
    directions_FD = torch.nn.functional.normalize(dictionary.W_enc_DF.T, dim=-1)
    drawn_TK = torch.randint(len(directions_FD), (_ROWS, _MIXED), generator=generator)
    weights_TK = torch.rand(_ROWS, _MIXED, generator=generator)
    x_TD = (directions_FD[drawn_TK] * weights_TK[..., None]).sum(1)
    x_TD += 0.2 * torch.randn(x_TD.shape, generator=generator)
    for scale in _SCALES:
        if (dictionary.encode(scale * x_TD) != 0).any(-1).float().mean() > 0.5:
            return scale * x_TD
    return x_TD


def _difference(before: Tensor, after: Tensor) -> float:
    """Largest difference, relative to the largest value; 0 for nothing."""
    if not before.numel():
        return 0.0
    return float((before - after).abs().max() / before.abs().max().clamp_min(torch.finfo(before.dtype).tiny))


def _name(item: Item) -> str:
    return item.name or str(item.config.reads)
