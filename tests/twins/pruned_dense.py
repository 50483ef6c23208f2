"""The pruned pass by dense virtual weights and masks, as jacobcd52/dictionary_learning computes it.

For every pair of modules the matrix [F_down, F_up] (per head for attention: [H, F_down, F_up]) of encoder times decoder
is made and masked, and multiplied with the dense features of all tokens.
"""

from __future__ import annotations

import torch


def pruned_pass(pruned, masks, frozen, *, factored=False):
    """Site → what is written [B, S, d].

    Args:
        pruned: A PrunedSuite, of which the dictionaries and the affine blocks are used.
        masks: (down, up) → bool [F_down, F_up].
        frozen: Of the batch.
        factored: Multiply through the heads' own width and never by W_V W_O [d, d], as the reference does not.
    """
    acts, written = {}, {}
    dictionaries = pruned.dictionaries
    for here, dictionary in dictionaries.items():
        block = pruned.affine[here.layer]
        ups = [up for up in dictionaries if (here, up) in masks]
        stream = frozen.embedded_BSD + sum(dictionaries[up].b_dec_D for up in ups)
        attends = here.kind == "attn_out"
        read = block.attention(stream, frozen.mixes[here.layer]) if attends else block.ln2(stream, frozen.scales[here])
        pre = dictionary.preactivations(read)
        W_enc = dictionary.W_enc_DF
        for up in ups:
            W_dec, f_BSF, mask = dictionaries[up].W_dec_FD, acts[up], masks[here, up]
            if not attends:
                virtual = (block.ln2.into(W_enc).T @ W_dec.T) * mask
                pre = pre + f_BSF @ virtual.T / frozen.scales[here]
                continue
            if factored:
                reads = torch.einsum("hed,df->hfe", block.outputs_HED, W_enc)
                virtual = reads @ torch.einsum("nd,hde->hen", W_dec, block.values_HDE) * mask
            else:
                W_OV = block.values_HDE @ block.outputs_HED
                virtual = torch.einsum("df,hed->hfe", W_enc, W_OV) @ W_dec.T * mask
            per_head_BHSF = torch.einsum("bsn,hfn->bhsf", f_BSF, virtual)
            pre = pre + (frozen.mixes[here.layer] @ per_head_BHSF).sum(1)
        acts[here] = dictionary.activate(pre)
        written[here] = dictionary.decode(acts[here])
    return written
