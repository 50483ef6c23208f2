"""Probe: does a suite do on this model what was recorded of it, seen on about a thousand tokens.

Names, widths and weight processing can all be right and the activations still be those of another layer, or not scaled
as in training. Per dictionary:

    L0                   mean number of active features per token
    variance explained   1 − Σ|y − ŷ|² / Σ|y − mean y|²     over the tokens, y the site that it writes

are compared with what is recorded; with nothing recorded, variance explained has to be positive, L0 between 0 and F,
and no other site nearby may be explained much better.
Where a dictionary fails, the other sites nearby and other scalings of the same input are tried, and the one that the
dictionary explains best is named (:mod:`saecli.core.probe_causes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError
from saecli.core.model import HookedModel
from saecli.core.probe_causes import likely_cause
from saecli.core.probe_measure import ELEMENTS, Expected, Measure, measure, short
from saecli.core.site import Site
from saecli.core.suite import Suite

MIN_TOKENS: Final = 1000
_UNRECORDED: Final = "Nothing is recorded; variance explained is positive and L0 between 0 and all features."
_NO_CAUSE: Final = "No other site nearby and no other scaling of its input is explained better."
_COUNTING_FIRST: Final = "The first token of every sequence is counted, as it must have been when this was recorded."


@dataclass(frozen=True)
class ProbeRow:
    """One dictionary on the probe's tokens.

    Attributes:
        site: The site that it reads.
        tokens: How many were counted.
        l0: Mean number of active features per token.
        variance_explained: Of the site that it writes.
        recorded_l0: Recorded with the dictionary; None if it is not.
        recorded_variance_explained: The same.
        ok: Whether they agree.
        reason: For a failure what differs and the likely cause, otherwise what was or was not compared; may be empty.
    """

    site: Site
    tokens: int
    l0: float
    variance_explained: float
    recorded_l0: float | None
    recorded_variance_explained: float | None
    ok: bool
    reason: str = ""


@torch.no_grad()
def probe(
    model: HookedModel,
    suite: Suite,
    tokens_BS: Tensor,
    *,
    sites: Sequence[Site] | None = None,
    tolerance: float = 0.1,
) -> list[ProbeRow]:
    """Compare a suite on a model with what is recorded of it.

    A token that begins every sequence is left out unless the suite says that it was trained with one, and so are
    positions beyond the suite's context.

    Args:
        model: The model, to which the suite attaches.
        suite: The suite; ``suite.info.measured`` has what is recorded.
        tokens_BS: int64 [B, S], text of the kind that the suite was trained on.
        sites: The sites to probe; all if not given.
        tolerance: How much less variance may be explained than recorded; L0 may differ by three times that share.

    Returns:
        One row per site, in the order of depth.

    Raises:
        InputError: Fewer than 1,000 tokens count.
        UsageError: The model does not have a site.
    """
    chosen = sorted(sites if sites is not None else suite.sites)
    counted_BS, first_BS = _counted(model, suite, tokens_BS)
    if (count := int(counted_BS.sum())) < MIN_TOKENS:
        raise InputError(f"The probe has {count:,} tokens that count, expected at least {MIN_TOKENS:,}.")
    together = any(len(config.written) > 1 for config in suite.configs.values())
    configs = [suite.configs[site] for site in (suite.sites if together else chosen)]
    needed = {config.reads for config in configs} | {config.writes for config in configs}
    acts = model.run(tokens_BS, read=needed, stop_after=max(needed)).sites
    sums = _sums(suite, acts, counted_BS) if together else {}
    rows = []
    for site in chosen:
        dictionary, recorded = suite[site], suite.info.measured.get(site, {})
        expected = Expected(dictionary.config, recorded.get("l0"), recorded.get("variance_explained"), tolerance)
        x, y = acts[site], acts[dictionary.config.writes]
        tokens, found = count, measure(dictionary, x, y, counted_BS, sums.get(dictionary.config.writes))
        wrong, note = expected.differences(found), "" if expected.recorded else _UNRECORDED
        if wrong and first_BS is not None and not together:
            with_first = measure(dictionary, x, y, counted_BS | first_BS)
            if not expected.differences(with_first):
                tokens, found, wrong, note = int((counted_BS | first_BS).sum()), with_first, "", _COUNTING_FIRST
        why = "" if together else _cause(model, dictionary, tokens_BS, counted_BS, expected, found, failed=bool(wrong))
        if why and not wrong:  # close enough for another text, and yet another site fits much better
            wrong = f"variance explained is {short(found.variance_explained)}"
            if expected.variance_explained is not None:
                wrong += f", recorded {short(expected.variance_explained)}"
        if wrong:
            note = f"{suite.label(site)}: {wrong}. {why or _NO_CAUSE}"
        rows.append(ProbeRow(site, tokens, *found, expected.l0, expected.variance_explained, not wrong, note))
    return rows


def _cause(
    model: HookedModel,
    dictionary: Dictionary,
    tokens_BS: Tensor,
    counted_BS: Tensor,
    expected: Expected,
    found: Measure,
    *,
    failed: bool,
) -> str:
    """The likely cause of a failure, or of a dictionary's being much worse than recorded without failing."""
    if failed:
        return likely_cause(model, dictionary, tokens_BS, counted_BS, expected, found)
    if not expected.doubtful(found):
        return ""
    close = replace(expected, tolerance=expected.tolerance / 4)
    return likely_cause(model, dictionary, tokens_BS, counted_BS, close, found, fitting=True)


def _counted(model: HookedModel, suite: Suite, tokens_BS: Tensor) -> tuple[Tensor, Tensor | None]:
    """Which positions count, bool [B, S], and those that would if the first token did; None if it does or is no BOS."""
    counted_BS = torch.ones_like(tokens_BS, dtype=torch.bool)
    if suite.info.context:
        counted_BS[:, suite.info.context :] = False
    first_BS = torch.zeros_like(counted_BS)
    if model.info.bos is not None and suite.info.bos is None:
        first_BS[:, 0] = tokens_BS[:, 0] == model.info.bos
    return counted_BS & ~first_BS, first_BS if bool(first_BS.any()) else None


def _sums(suite: Suite, acts: Mapping[Site, Tensor], counted_BS: Tensor) -> dict[Site, Tensor]:
    """What the whole suite writes at the positions that count, [N, d] by site."""
    widest = max(config.n_latents for config in suite.configs.values())
    inputs = {site: acts[site][counted_BS].to(one.b_dec_D.dtype) for site, one in suite.items()}
    parts = [
        suite.reconstruct({site: x[start : start + rows] for site, x in inputs.items()})
        for rows in [max(1, ELEMENTS // widest)]
        for start in range(0, int(counted_BS.sum()), rows)
    ]
    return {site: torch.cat([part[site] for part in parts]) for site in parts[0]}
