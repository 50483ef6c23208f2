"""The pruned pass as it is defined: every downstream feature has a residual stream of its own.

The stream of feature j holds the embedding, all biases and errors, and of every upstream feature that j is connected
with what it writes. It passes the norm with the frozen scale, for an attention dictionary the heads with the frozen
pattern, and feature j alone is read from it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def norm(x, scale, gain, bias, *, centre=True):
    """A LayerNorm whose divisor is given."""
    x = x - x.mean(-1, keepdim=True) if centre else x
    return x / scale * gain + bias


def attention(x, weights, pattern_BHSS):
    """What attention adds when it is given x [..., B, S, d], by the weights as they are."""
    v = torch.einsum("...bsd,hde->...bhse", x, weights.W_V) + weights.b_V[:, None]
    z = pattern_BHSS @ v
    return torch.einsum("...bhse,hed->...bsd", z, weights.W_O) + weights.b_O


def embedding(frozen, features, masks, here, tokens):
    """What every feature of a module is given of the embedding, [F, B, S, d]."""
    stream_BSD: Tensor = frozen.embedded_BSD
    if tokens is None:
        return stream_BSD.expand(features, -1, -1, -1)
    end, table_VD = tokens
    written_BSD = table_VD[frozen.tokens_BS]
    return stream_BSD - written_BSD + masks[here, end][:, frozen.tokens_BS][..., None] * written_BSD


def pruned_logits(suite, masks, frozen, acts, end, tokens, final_norm, unembedding_VD):
    """Logits [B, S, V], each of a residual stream of its own, less the mean logit of that stream's tokens.

    Args:
        end: Site of the logits as a module.
        final_norm: LayerNorm module.
    """
    stream = embedding(frozen, len(unembedding_VD), masks, end, tokens)
    for up in sorted(suite.sites):
        stream = (
            stream
            + suite[up].b_dec_D
            + (masks[end, up][:, None, None].to(acts[up].dtype) * acts[up]) @ (suite[up].W_dec_FD)
        )
    read = norm(stream, frozen.scales[end], final_norm.weight, final_norm.bias)
    return torch.einsum("vbsd,vd->bsv", read, unembedding_VD - unembedding_VD.mean(0))


def pruned_pass(model, suite, masks, frozen, patterns, *, centre=True, errors=None, compat=(), tokens=None):
    """Modules of the suite in order → pre-activations [B, S, F], dense features [B, S, F], written [B, S, d].

    Args:
        masks: (down, up) sites → bool [F_down, F_up], for every pair that the order of computation allows.
        patterns: Layer → true attention pattern.
        errors: Site → error node, added to what a module writes.
        compat: Not empty: upstream biases count only for these pairs, and reach attention past the pattern, over the
            scale of the position that attends.
        tokens: Site of the embedding as a module and what tokens write [V, d]; then (down, that site) is masked too.
    """
    order = sorted(suite.sites)
    pres, acts, written = {}, {}, {}
    for here in order:
        dictionary, weights = suite[here], model.block(here.layer).weights
        ups = [up for up in order if (here, up) in masks]
        stream = embedding(frozen, dictionary.n_latents, masks, here, tokens)
        for up in ups:
            shared = suite[up].b_dec_D + (errors[up] if errors else 0)
            if compat and (here.kind == "attn_out" or (here, up) not in compat):
                shared = 0
            masked_FBSF = masks[here, up][:, None, None].to(acts[up].dtype) * acts[up]
            stream = stream + shared + masked_FBSF @ suite[up].W_dec_FD
        if here.kind == "mlp_in":
            read = norm(stream, frozen.scales[here], weights.ln2_w, weights.ln2_b, centre=centre)
        else:
            read = attention(
                norm(stream, frozen.scales[here], weights.ln1_w, weights.ln1_b), weights, patterns[here.layer]
            )
            for up in ups:
                if (here, up) in compat:
                    written_D = torch.einsum("d,hde,hef->f", suite[up].b_dec_D, weights.W_V, weights.W_O)
                    read = read + written_D / frozen.scales[here]
        if dictionary.subtracts_b_dec:
            read = read - dictionary.b_dec_D
        pres[here] = torch.einsum("fbsd,df->bsf", read, dictionary.W_enc_DF) + dictionary.b_enc_F
        acts[here] = dictionary.activate(pres[here])
        written[here] = acts[here] @ dictionary.W_dec_FD + dictionary.b_dec_D + (errors[here] if errors else 0)
    return pres, acts, written
