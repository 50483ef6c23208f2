"""Contributions of upstream features, one feature at a time through the model's own weights, and scores of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from saecli.core.hooks import ThinModel
from saecli.core.site import Site
from saecli.core.suite import Suite


def features(model: ThinModel, suite: Suite, tokens_BS: Tensor) -> dict[Site, Tensor]:
    """Dense activations [B, S, F] of every dictionary."""
    run = model.run(tokens_BS, read=suite.sites)
    return {site: suite[site].encode(run.sites[site]) for site in suite}


def contributions(model: ThinModel, suite: Suite, tokens_BS: Tensor, down: Site, added_BSD: Tensor) -> Tensor:
    """What a change of the residual stream adds to the pre-activations at `down`: [B, S, F].

    Norms divide by the scale of the unchanged model, attention mixes by its pattern.
    """
    block, kind = model.block(down.layer).weights, "ln1" if down.kind == "attn_out" else "ln2"
    aux = model.run(tokens_BS, aux=[(down.layer, f"{kind}_scale"), (down.layer, "attn_pattern")]).aux
    gain = block.ln1_w if kind == "ln1" else block.ln2_w
    read_BSD = gain * (added_BSD - added_BSD.mean(-1, keepdim=True)) / aux[down.layer, f"{kind}_scale"]
    if kind == "ln2":
        return read_BSD @ suite[down].W_enc_DF
    out_BSD = torch.zeros_like(read_BSD)
    for head in range(len(block.W_V)):
        out_BSD += aux[down.layer, "attn_pattern"][:, head] @ (read_BSD @ block.W_V[head]) @ block.W_O[head]
    return out_BSD @ suite[down].W_enc_DF


def logit_contributions(model: ThinModel, tokens_BS: Tensor, added_BSD: Tensor) -> Tensor:
    """What a change of the final residual stream adds to each logit less the mean logit: [B, S, V]."""
    module, layers = model.module, model.info.n_layers
    scale = model.run(tokens_BS, aux=[(layers, "final_scale")]).aux[layers, "final_scale"]
    normed = module.transformer.ln_f.weight * (added_BSD - added_BSD.mean(-1, keepdim=True)) / scale
    logits = normed @ module.lm_head.weight.T
    return logits - logits.mean(-1, keepdim=True)


def slopes(model: ThinModel, suite: Suite, tokens_BS: Tensor, counted_BS: Tensor, down: Site) -> Tensor:
    """|∂CE / ∂f_j| at every position, by autograd through features added to what the module writes: [B, S, F]."""
    added = torch.zeros(*tokens_BS.shape, suite[down].n_latents, dtype=torch.float64, requires_grad=True)
    run = model.run(tokens_BS, write={suite.configs[down].writes: lambda x: x + added @ suite[down].W_dec_FD})
    next_BS = torch.full_like(tokens_BS, -1)
    next_BS[:, :-1] = tokens_BS[:, 1:].where(counted_BS[:, 1:], -1)
    loss = cross_entropy(run.logits.flatten(0, 1), next_BS.flatten(), ignore_index=-1, reduction="sum")
    return torch.autograd.grad(loss, added)[0].abs()


def score(
    name: str, contribution_BSF: Tensor, active_BSF: Tensor, counted_BS: Tensor, slope_BSF: Tensor | None = None
) -> Tensor:
    """Score of one upstream feature for all downstream ones: [F]."""
    there = active_BSF & counted_BS[..., None]
    if name == "mean":
        return (contribution_BSF * counted_BS[..., None]).sum((0, 1)) / counted_BS.sum()
    if name == "active-mean":
        return (contribution_BSF * there).sum((0, 1)) / there.sum((0, 1)).clamp_min(1)
    if name == "max":
        return (contribution_BSF.abs() * there).amax((0, 1))
    assert slope_BSF is not None
    return (contribution_BSF * there * slope_BSF).sum((0, 1)) / counted_BS.sum()
