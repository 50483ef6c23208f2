"""ModulePaths: where a model keeps the parts that sites are made of.

One table per architecture, held by the adapters in ``zoo``; only GPT-2's own stands here, because the small GPT of
:mod:`saecli.core.gpt` has it. A table names modules and lays out weights, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from saecli.core.model import BlockWeights, ModelInfo

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ModulePaths:
    """Dotted module paths of one architecture. Paths of a block's parts are relative to the block.

    Every part must be called as a module, with the hidden states as its first argument.

    Attributes:
        blocks: The list of blocks.
        final_norm, unembed: The last norm and the linear map to logits.
        ln1, ln2: The norms before attention and MLP; ln2 reads resid_mid (resid_pre in parallel blocks).
        attention, mlp: The modules that attn_in and mlp_in are given to.
        attention_out: The attention's last linear map; its input is attn_z.
        mlp_down: The MLP's last linear map; its input is mlp_post.
        embeddings: Tables that are added into the residual stream.
        weights: Reads one block's weights in canonical shapes: views, but for the gains of norms with an offset.
        attention_post, mlp_post_norm: Norms applied to what attention and MLP add (Gemma); empty without them.
        norm_offset: A norm multiplies by ``norm_offset + weight`` (1 for Gemma).
        softcap: Logits are ``softcap * tanh(logits / softcap)``; None without.
        options: Keyword arguments of every call of the whole model.
    """

    blocks: str
    final_norm: str
    unembed: str
    ln1: str
    ln2: str
    attention: str
    attention_out: str
    mlp: str
    mlp_down: str
    embeddings: tuple[str, ...]
    weights: Callable[[nn.Module, ModelInfo], BlockWeights]
    attention_post: str = ""
    mlp_post_norm: str = ""
    norm_offset: float = 0.0
    softcap: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def gpt2_weights(block: nn.Module, info: ModelInfo) -> BlockWeights:
    """Weights of a GPT-2 block (Conv1D layout: [in, out]), all as views.

    Source: the layout of Hugging Face's ``GPT2LMHeadModel``.
    """
    heads, d_head, d_model = info.n_heads, info.d_head, info.d_model

    def get(path: str) -> Tensor:
        return attrgetter(path)(block)

    W_Q, W_K, W_V = (
        w.unflatten(1, (heads, d_head)).transpose(0, 1) for w in get("attn.c_attn.weight").split(d_model, 1)
    )
    b_Q, b_K, b_V = (b.view(heads, d_head) for b in get("attn.c_attn.bias").split(d_model))
    return BlockWeights(
        W_Q=W_Q,
        W_K=W_K,
        W_V=W_V,
        W_O=get("attn.c_proj.weight").unflatten(0, (heads, d_head)),
        W_in=get("mlp.c_fc.weight"),
        W_out=get("mlp.c_proj.weight"),
        b_Q=b_Q,
        b_K=b_K,
        b_V=b_V,
        b_O=get("attn.c_proj.bias"),
        b_in=get("mlp.c_fc.bias"),
        b_out=get("mlp.c_proj.bias"),
        ln1_w=get("ln_1.weight"),
        ln1_b=get("ln_1.bias"),
        ln2_w=get("ln_2.weight"),
        ln2_b=get("ln_2.bias"),
    )


GPT2 = ModulePaths(
    blocks="transformer.h",
    final_norm="transformer.ln_f",
    unembed="lm_head",
    ln1="ln_1",
    ln2="ln_2",
    attention="attn",
    attention_out="attn.c_proj",
    mlp="mlp",
    mlp_down="mlp.c_proj",
    embeddings=("transformer.wte", "transformer.wpe"),
    weights=gpt2_weights,
)
"""GPT-2, in Hugging Face's names: :class:`saecli.core.gpt.GPT` and ``transformers.GPT2LMHeadModel``."""
