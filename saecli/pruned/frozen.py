"""What one pass of the true model leaves fixed for the pruned pass over the same tokens."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.connections import Module
from saecli.core.model import Aux, HookedModel
from saecli.core.site import Site


@dataclass(frozen=True)
class Frozen:
    """Values of the true model on tokens [B, S]; none has a gradient.

    Attributes:
        tokens_BS: The token ids.
        embedded_BSD: resid_pre of block 0.
        final_BSD: The final residual stream.
        scales: Module (by the site it reads) → what the norm before it divides by, [B, S, 1].
        mixes: Layer → attention pattern over the scale of the position attended to, [B, H, S, S], of layers with an
            attention dictionary.
        inputs: Site read → its value [B, S, d].
        targets: Site read → value [B, S, d] of the site written.
    """

    tokens_BS: Tensor
    embedded_BSD: Tensor
    final_BSD: Tensor
    scales: dict[Site, Tensor]
    mixes: dict[int, Tensor]
    inputs: dict[Site, Tensor]
    targets: dict[Site, Tensor]

    @property
    def shape(self) -> tuple[int, int]:
        """Sequences and positions."""
        return self.tokens_BS.shape[0], self.tokens_BS.shape[1]


@torch.no_grad()
def freeze(model: HookedModel, modules: Collection[Module], tokens_BS: Tensor) -> Frozen:
    """Run the model once.

    Args:
        model: The model.
        modules: The modules whose pruned pass is to follow.
        tokens_BS: int64 token ids; right padding is the caller's business, as attention is causal.

    Raises:
        UsageError: No batch of sequences, one longer than the context, or a site that the model does not have.
    """
    first, last = Site(0, "resid_pre"), Site(model.info.n_layers, "resid_pre")
    aux: list[tuple[int, Aux]] = []
    dictionaries = [module for module in modules if module.what == "features"]
    for module in dictionaries:
        attends = module.reads.kind == "attn_out"
        aux.append((module.reads.layer, "ln1_scale" if attends else "ln2_scale"))
        if attends:
            aux.append((module.reads.layer, "attn_pattern"))
    if ends := [module.reads for module in modules if module.what == "logits"]:
        aux.append((ends[0].layer, "final_scale"))
    sites = {first, last} | {site for module in dictionaries for site in (module.reads, module.writes)}
    run = model.run(tokens_BS, read=sites, aux=aux)
    scales = {
        module.reads: run.aux[module.reads.layer, "ln1_scale" if module.reads.kind == "attn_out" else "ln2_scale"]
        for module in dictionaries
    } | {end: run.aux[end.layer, "final_scale"] for end in ends}
    return Frozen(
        tokens_BS,
        run.sites[first],
        run.sites[last],
        scales,
        {
            site.layer: run.aux[site.layer, "attn_pattern"] / scale[:, None, None, :, 0]
            for site, scale in scales.items()
            if site.kind == "attn_out"
        },
        {module.reads: run.sites[module.reads] for module in dictionaries},
        {module.reads: run.sites[module.writes] for module in dictionaries},
    )
