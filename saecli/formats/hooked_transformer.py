"""State dicts of TransformerLens' HookedTransformer (before version 4): ``embed.W_E``, ``blocks.0.attn.W_Q``, ….

Matrices are stored [in, out], those of attention head by head: ``W_Q`` [H, d_model, d_head], ``W_O`` [H, d_head,
d_model]. A file without norm gains (``LNPre``) holds folded weights. The unembedding has a bias.

Source: https://github.com/TransformerLensOrg/TransformerLens (3.x).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.gpt import GPT
from saecli.formats.gpt_assembly import (
    EMBEDDING,
    HEAD,
    MASKS,
    Part,
    activation_of,
    assemble,
    beside,
    config_of,
    constant,
    count_layers,
    matrix,
    one,
)
from saecli.formats.weights import Weights


def read_hooked_transformer(weights: Weights, dtype: torch.dtype) -> tuple[GPT, Literal["raw", "folded"]]:
    """Reads a state dict of HookedTransformer, and says what was done to its weights.

    Raises:
        InputError: Tensors are missing, unknown or of other shapes, or the architecture is not GPT-2's.
    """
    shapes, path = weights.shapes, weights.path
    vocab, d_model = matrix(weights, "embed.W_E")
    queries = shapes.get("blocks.0.attn.W_Q", ())
    if len(queries) != 3 or queries[1] != d_model or queries[0] * queries[2] != d_model:
        raise InputError(
            f"{path} has blocks.0.attn.W_Q of shape {list(queries)}, expected [heads, {d_model}, {d_model} / heads]."
        )
    if "blocks.0.mlp.W_gate" in shapes or "pos_embed.W_pos" not in shapes:
        raise InputError(f"{path} is of an architecture other than GPT-2's: gated MLPs, or no position embedding.")
    document = beside(path)
    config = config_of(
        path,
        vocab,
        matrix(weights, "pos_embed.W_pos")[0],
        count_layers(weights),
        queries[0],
        d_model,
        d_mlp=matrix(weights, "blocks.0.mlp.W_in")[1],
        activation=activation_of(document, path),
        tied=False,
    )
    config = replace(config, head_bias="unembed.b_U" in shapes)
    heads, d_head = config.n_head, d_model // config.n_head
    folded = "ln_final.w" not in shapes

    def norm(key: str, shape: tuple[int, ...], gain: bool) -> Part:
        return constant(shape, float(gain)) if folded else one(f"{key}.{'w' if gain else 'b'}", shape)

    def part_of(name: str, shape: tuple[int, ...]) -> Part:
        ends = {EMBEDDING: "embed.W_E", "transformer.wpe.weight": "pos_embed.W_pos", "lm_head.bias": "unembed.b_U"}
        if name in ends:
            return one(ends[name], shape)
        if name == HEAD:
            return one("unembed.W_U", shape[::-1], torch.t)
        module, kind = name.rsplit(".", 1)
        gain = kind == "weight"
        if module == "transformer.ln_f":
            return norm("ln_final", shape, gain)
        _, _, layer, module = module.split(".", 3)
        block = f"blocks.{layer}."
        if module in ("ln_1", "ln_2"):
            return norm(f"{block}ln{module[-1]}", shape, gain)
        if module == "attn.c_attn":
            keys = tuple(f"{block}attn.{'W' if gain else 'b'}_{letter}" for letter in "QKV")
            single = (heads, d_model, d_head) if gain else (heads, d_head)
            return Part(keys, (single,) * 3, _joined)
        if module == "attn.c_proj":
            key = f"{block}attn.{'W' if gain else 'b'}_O"
            return one(key, (heads, d_head, d_model), lambda tensor: tensor.flatten(0, 1)) if gain else one(key, shape)
        return one(f"{block}mlp.{'W' if gain else 'b'}_{'in' if module == 'mlp.c_fc' else 'out'}", shape)

    ignored = [name for name in shapes if name.endswith(MASKS)]
    gpt = assemble(config, part_of, weights, dtype, ignored=ignored, said_by="the rest of it")
    return gpt, "folded" if folded else "raw"


def _joined(*three: Tensor) -> Tensor:
    """Queries, keys and values by head [H, d, d_head] or [H, d_head] → c_attn [d, 3 * d] or [3 * d]."""
    return torch.cat([part.movedim(0, -2).flatten(-2) for part in three], dim=-1)
