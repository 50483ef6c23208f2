"""How large the Jacobian of stored Jacobian-sparse pairs is on sequences that nothing was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel
from saecli.core.sample import Sample, regrouped
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.train.jacobian import Chosen, absolute_jacobian
from saecli.train.jacobian_path import Path, mlp_path
from saecli.train.jacobian_plan import KINDS
from saecli.train.step import Workspace

_POSITIONS = 1 << 10


@torch.no_grad()
def measure_pairs(
    model: HookedModel, suites: Mapping[str, Suite], held_out: Sequence[Sample]
) -> dict[str, dict[Site, float]]:
    """Σ |∂ f_out / ∂ f_in| / k² over the active features of a token, on average over the positions that count.

    Args:
        model: The model, on the CPU.
        suites: Suites by name, in the units of the model; pairs are what their options call so.
        held_out: Sequences.

    Returns:
        By suite and the site that the second dictionary of a pair reads.
    """
    pairs = [(name, suite, *two) for name, suite in suites.items() for two in _pairs(suite)]
    paths = {reads: mlp_path(model, reads.layer, block=reads.kind == "resid_mid") for _, _, reads, _ in pairs}
    totals = dict.fromkeys(((name, writes) for name, _, _, writes in pairs), 0.0)
    sites, space, count = sorted({site for _, _, *two in pairs for site in two}), Workspace(), 0
    length = max((sample.tokens_BS.shape[1] for sample in held_out), default=1)
    for sample in regrouped(held_out, max(1, _POSITIONS // length)) if pairs else ():
        found, here_BS = model.run(sample.tokens_BS, read=sites, stop_after=sites[-1]).sites, sample.next_BS >= 0
        count += int(here_BS.sum())
        for name, suite, reads, writes in pairs:
            both = (suite[reads], found[reads][here_BS]), (suite[writes], found[writes][here_BS])
            totals[name, writes] += _mean_sum(paths[reads], *both[0], *both[1], space)
    means: dict[str, dict[Site, float]] = {}
    for (name, writes), total in totals.items():
        means.setdefault(name, {})[writes] = total / max(1, count)
    return means


def _pairs(suite: Suite) -> list[tuple[Site, Site]]:
    trained = [site for site, config in suite.configs.items() if config.options.get("jacobian")]
    kinds = dict(KINDS)
    return [(site, Site(site.layer, kinds[site.kind])) for site in trained if site.kind in kinds]


def _mean_sum(path: Path, first: Dictionary, x_TD: Tensor, second: Dictionary, y_TD: Tensor, space: Workspace) -> float:
    """Σ over tokens of Σ |J| / k²."""
    reads, writes = first.encode_sparse(x_TD), second.encode_sparse(y_TD)
    if first.config.options["jacobian"]["at"] == "reconstruction":
        x_TD = first.reconstruct_from(reads, x_TD)
    chosen = [Chosen(acts.indices_TK, acts.values_TK > 0) for acts in (reads, writes)]
    weights = first.W_dec_FD.detach(), second.W_enc_DF.detach().T
    found = absolute_jacobian(path, x_TD, *weights, chosen[0], chosen[1], space, gradients=False)
    return found.total / (reads.indices_TK.shape[1] * writes.indices_TK.shape[1])
