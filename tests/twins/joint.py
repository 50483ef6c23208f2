"""The loss of a model and its dictionaries, term by term as it is written, for autograd in fp64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from saecli.core.dictionary import Dictionary
from saecli.core.gpt import GPT
from saecli.core.site import Site
from saecli.data.source import Batch
from saecli.dictionaries.gated import Gated
from saecli.dictionaries.jumprelu import JumpReLU

WINDOW = 0.01


def joint_loss(
    model: GPT, dictionaries: Mapping[Site, Dictionary], batch: Batch, weight: float, weights: Sequence[float]
) -> Tensor:
    """CE + mean over sites of weight (recon + aux) / |x| + w penalty, for dictionaries of the residual stream."""
    stream = model.transformer.wte(batch.tokens_BS) + model.transformer.wpe(torch.arange(batch.tokens_BS.shape[1]))
    streams = [stream]
    for block in model.transformer.h:
        streams.append(block(streams[-1]))
    logits = model.lm_head(model.transformer.ln_f(streams[-1]))
    here = batch.next_BS >= 0
    loss = functional.cross_entropy(logits[here], batch.next_BS[here])
    terms = [
        site_loss(made, streams[site.layer][here], weight, weights[number])
        for number, (site, made) in enumerate(dictionaries.items())
    ]
    return loss + sum(terms) / len(terms)


def site_loss(made: Dictionary, x: Tensor, weight: float, sparsity_weight: float) -> Tensor:
    """Means over the rows of x."""
    norm = x.norm(dim=1).mean()
    pre = (x - made.b_dec_D) @ made.W_enc_DF + made.b_enc_F
    aux = penalty = torch.zeros((), dtype=x.dtype)
    if made.arch == "topk":
        floor = pre.sort(dim=1, descending=True).values[:, made.config.options["k"] - 1 :][:, :1]
        acts = functional.relu(pre) * (pre >= floor)
    elif isinstance(made, JumpReLU):
        width, theta = WINDOW * float(norm.detach()), made.threshold_F
        above = (pre > theta).to(x.dtype)
        near = ((pre - theta).abs() < width / 2).to(x.dtype)
        moved = theta - theta.detach()  # zero, with the gradient of θ
        acts = pre * above - (theta.detach() / width) * near.detach() * moved
        penalty = (above - near.detach() / width * moved).sum(1).mean()
    elif isinstance(made, Gated):
        magnitude = (pre - made.b_enc_F) * made.r_mag_F.exp() + made.b_mag_F
        acts = functional.relu(magnitude) * (pre > 0)
        gate = functional.relu(pre)
        guess = gate @ made.W_dec_FD.detach() + made.b_dec_D.detach()
        aux = (guess - x).square().sum(1).mean()
        penalty = (gate * made.W_dec_FD.detach().norm(dim=1)).sum(1).mean()
    else:
        acts = functional.relu(pre)
        penalty = (acts * made.W_dec_FD.norm(dim=1)).sum(1).mean()
    recon = (acts @ made.W_dec_FD + made.b_dec_D - x).square().sum(1).mean()
    return weight * (recon + aux) / norm + sparsity_weight * penalty
