"""Why a dictionary fails on a model: what can be told by trying it on other activations of the same tokens.

Tried are the sites of the same kind up to two layers away, other sites of the same layer, and the same input centred
over its width, without the gain of its norm, scaled to norm sqrt(d) on average or at every token, and layer-normalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.core.probe_measure import Expected, Measure, measure, short
from saecli.core.site import Site

_AWAY: Final = (-1, 1, -2, 2)
_ALSO: Final = ("resid_pre", "attn_in", "attn_out", "resid_mid", "mlp_in", "mlp_out", "resid_post")
_ROWS: Final = 512  # tokens that a cause is tried on
_MUCH_LESS: Final = 0.7  # a cause leaves at most this share of what is unexplained now


class _Trial(NamedTuple):
    """Other activations, and the sentence for the case that they are the right ones; ``{}`` is what they explain."""

    x_BSD: Tensor
    y_BSD: Tensor
    sentence: str


@torch.no_grad()
def likely_cause(
    model: HookedModel,
    dictionary: Dictionary,
    tokens_BS: Tensor,
    counted_BS: Tensor,
    expected: Expected,
    found: Measure,
    *,
    fitting: bool = False,
) -> str:
    """One sentence: which activations the dictionary explains much better than those it was given; empty if none.

    Args:
        model: The model.
        dictionary: The dictionary that fails.
        tokens_BS: The probe's tokens.
        counted_BS: Positions that count.
        expected: What is recorded of it.
        found: What it does.
        fitting: Whether only activations count on which it does what is recorded.
    """
    few_BS = counted_BS & (counted_BS.flatten().cumsum(0) <= _ROWS).view_as(counted_BS)
    used = int(few_BS.any(1).nonzero().max()) + 1
    tokens_BS, few_BS = tokens_BS[:used], few_BS[:used]
    best: tuple[bool, float, str] | None = None
    for trial in _trials(model, dictionary, tokens_BS, few_BS):
        tried = measure(dictionary, trial.x_BSD, trial.y_BSD, few_BS)
        fits = not expected.differences(tried)
        explains = tried.variance_explained
        better = 1 - explains <= _MUCH_LESS * (1 - found.variance_explained)
        if explains > 0 and (better and (fits or not fitting)) and (best is None or (fits, explains) > best[:2]):
            best = fits, explains, trial.sentence
    return "" if best is None else best[2].format(short(best[1]))


def _trials(model: HookedModel, dictionary: Dictionary, tokens_BS: Tensor, few_BS: Tensor) -> Iterator[_Trial]:
    reads, writes = dictionary.config.reads, dictionary.config.writes
    pairs = [
        pair
        for pair in _other_pairs(reads, writes)
        if _has(model, pair[0], dictionary.config.d_in) and _has(model, pair[1], dictionary.config.d_out)
    ]
    needed = {reads, writes} | {site for pair in pairs for site in pair}
    acts = model.run(tokens_BS, read=needed, stop_after=max(needed)).sites
    for read, written in pairs:
        name = str(read) if read == written or written == writes else f"{read} to {written}"
        yield _Trial(acts[read], acts[written], f"Site {name} explains {{}}, did you mean it?")
    x, y = acts[reads], acts[writes]
    yield from _other_processing(model, reads, writes, x, y)
    if dictionary.normalize is None:
        yield from _other_scales(reads == writes, x, y, few_BS)


def _other_pairs(reads: Site, writes: Site) -> list[tuple[Site, Site]]:
    """Sites that a dictionary of this pair might have been made for: read and written."""
    pairs = [
        (Site(reads.layer + away, reads.kind), Site(writes.layer + away, writes.kind))
        for away in _AWAY
        if reads.layer + away >= 0 and writes.layer + away >= 0
    ]
    for kind in _ALSO:
        site = Site(reads.layer, kind)
        pairs.append((site, site if reads == writes else writes))
    return [pair for pair in dict.fromkeys(pairs) if pair != (reads, writes)]


def _has(model: HookedModel, site: Site, width: int) -> bool:
    try:
        return model.info.width(model.info.check(site)) == width
    except UsageError:
        return False


def _other_processing(model: HookedModel, reads: Site, writes: Site, x: Tensor, y: Tensor) -> Iterator[_Trial]:
    """What the same model with folded norms has at these sites; the reverse cannot be computed."""
    if model.info.processing != "raw":
        return
    centred_y = y - y.mean(-1, keepdim=True)
    sentence = "With norms folded and writing weights centred the site explains {}: it was made for folded weights."
    if reads.kind in ("attn_in", "mlp_in"):
        weights = model.block(reads.layer).weights
        gain, bias = (weights.ln1_w, weights.ln1_b) if reads.kind == "attn_in" else (weights.ln2_w, weights.ln2_b)
        if gain is None:
            return
        plain = (x if bias is None else x - bias) / gain
        yield _Trial(plain, plain if reads == writes else centred_y, sentence)
        if reads != writes:
            yield _Trial(plain, y, sentence)
    elif reads.kind in ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"):
        centred_x = x - x.mean(-1, keepdim=True)
        yield _Trial(centred_x, centred_x if reads == writes else centred_y, sentence)


def _other_scales(autoencoder: bool, x: Tensor, y: Tensor, few_BS: Tensor) -> Iterator[_Trial]:
    """Inputs scaled as trainers scale them; a transcoder's output keeps its scale."""
    root = x.shape[-1] ** 0.5
    factor = float(root / x[few_BS].norm(dim=-1).mean())
    norms = x.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    centred = x - x.mean(-1, keepdim=True)
    for scaled, sentence in (
        (x * factor, f"Scaled to norm sqrt(d) on average (by {factor:.4g}) the input explains {{}}: it was scaled so."),
        (x * root / norms, "With every token scaled to norm sqrt(d) the input explains {}: it expects such inputs."),
        (centred / (centred.std(-1, keepdim=True) + 1e-5), "Layer-normalised, the input explains {}: it expects that."),
    ):
        yield _Trial(scaled, scaled if autoencoder else y, sentence)
