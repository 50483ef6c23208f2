"""Greedy continuations of many prefixes of the same sequences.

Keys and values of a sequence are computed once; a continuation that starts anywhere in it attends to those before its
start and to its own. So a token at every place of a sequence costs about as much as the sequence itself.

Shapes: B sequences, S positions, P prefixes per sequence, D width, H heads, d head width, N tokens made.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from saecli.core.gpt import GPT, Block


@torch.no_grad()
def continue_greedily(model: GPT, tokens_BS: Tensor, starts_BP: Tensor, count: int) -> Tensor:
    """The most likely next tokens, one after the other, of prefixes of sequences.

    Args:
        model: in evaluation mode; sequences and what is made must fit into its context.
        tokens_BS: int64 [B, S].
        starts_BP: int64 [B, P], from 1: how many tokens of its sequence each prefix has.
        count: N, tokens to make for each.

    Returns:
        int64 [B, P, N]; the lowest token of equals.

    Raises:
        ValueError: a prefix is empty or longer than its sequence, or a continuation does not fit into the context.
    """
    first, last = int(starts_BP.min()), int(starts_BP.max())
    if not (first >= 1 and last <= tokens_BS.shape[1] and last + count - 1 <= model.config.n_ctx):
        raise ValueError(f"prefixes of {first}..{last} tokens cannot be continued by {count} in this context")
    blocks = cast(list[Block], list(model.transformer.h))
    caches: list[Tensor] = []
    hooks = [
        block.attn.c_attn.register_forward_hook(lambda module, args, out: caches.append(cast(Tensor, out)))
        for block in blocks
    ]
    try:
        logits_BSV = model(tokens_BS)
    finally:
        for hook in hooks:
            hook.remove()
    rows_B1 = torch.arange(len(tokens_BS), device=tokens_BS.device)[:, None]
    made = [logits_BSV[rows_B1, starts_BP - 1].argmax(-1)]
    after_BPS = torch.arange(tokens_BS.shape[1], device=tokens_BS.device) >= starts_BP[..., None]
    own: list[list[Tensor]] = [[] for _ in caches]
    while len(made) < count:
        x_BPD = model.transformer.wte(made[-1]) + model.transformer.wpe(starts_BP + len(made) - 1)
        for block, cache_BSE, mine in zip(blocks, caches, own, strict=True):
            mine.append(block.attn.c_attn(block.ln_1(x_BPD)))
            x_BPD = x_BPD + block.attn.c_proj(_attend(mine, cache_BSE, after_BPS, block.attn.n_head))
            x_BPD = x_BPD + block.mlp(block.ln_2(x_BPD))
        made.append(model.lm_head(model.transformer.ln_f(x_BPD)).argmax(-1))
    return torch.stack(made, dim=-1)


def _attend(own: list[Tensor], cache_BSE: Tensor, after_BPS: Tensor, n_head: int) -> Tensor:
    """The heads of the last made tokens side by side, [B, P, D], over the sequence before and all made so far.

    Args:
        own: queries, keys and values side by side, [B, P, 3 D], of every made token.
        cache_BSE: those of the sequence, [B, S, 3 D].
        after_BPS: bool [B, P, S], what a prefix does not have.
        n_head: H.
    """
    q_BHPd = _heads(own[-1].chunk(3, -1)[0], n_head).transpose(1, 2)
    _, k_BSHd, v_BSHd = (_heads(part, n_head) for part in cache_BSE.chunk(3, -1))
    _, k_BPNHd, v_BPNHd = (_heads(part, n_head) for part in torch.stack(own, dim=2).chunk(3, -1))
    before_BHPS = (q_BHPd @ k_BSHd.permute(0, 2, 3, 1)).masked_fill(after_BPS[:, None], -math.inf)
    own_BHPN = torch.einsum("bhpd,bpnhd->bhpn", q_BHPd, k_BPNHd)
    scores = torch.cat([before_BHPS, own_BHPN], dim=-1) / math.sqrt(q_BHPd.shape[-1])
    before_BHPS, own_BHPN = scores.softmax(-1).split([cache_BSE.shape[1], len(own)], dim=-1)
    mixed_BHPd = before_BHPS @ v_BSHd.transpose(1, 2) + torch.einsum("bhpn,bpnhd->bhpd", own_BHPN, v_BPNHd)
    return mixed_BHPd.transpose(1, 2).flatten(2)


def _heads(x: Tensor, n_head: int) -> Tensor:
    return x.unflatten(-1, (n_head, -1))
