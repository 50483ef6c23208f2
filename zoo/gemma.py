"""Gemma 2 and the text models of Gemma 3: ``transformers.Gemma2ForCausalLM`` and ``Gemma3ForCausalLM``.

What attention and MLP add is normed once more, norms multiply by ``1 + weight``, and keys and values may be shared
between heads.

Source: Gemma Team 2024, arXiv:2408.00118; 2025, arXiv:2503.19786.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import Any, Literal

from torch import Tensor, nn

from saecli.core.hooks import ThinModel
from saecli.core.model import BlockWeights, ModelInfo
from saecli.core.paths import ModulePaths
from zoo.huggingface import OPTIONS, model_info


def weights(block: nn.Module, info: ModelInfo) -> BlockWeights:
    """Weights of a Gemma block: views, but for the norm gains ``1 + weight``. Query and key norms are left out."""

    def matrix(path: str) -> Tensor:
        return attrgetter(f"{path}.weight")(block)

    def heads(name: str) -> Tensor:
        return matrix(f"self_attn.{name}").unflatten(0, (-1, info.d_head)).transpose(1, 2)

    def bias(name: str) -> Tensor | None:
        found = attrgetter(f"self_attn.{name}.bias")(block)
        return found if found is None or name == "o_proj" else found.view(-1, info.d_head)

    return BlockWeights(
        W_Q=heads("q_proj"),
        W_K=heads("k_proj"),
        W_V=heads("v_proj"),
        W_O=matrix("self_attn.o_proj").t().unflatten(0, (info.n_heads, info.d_head)),
        W_in=matrix("mlp.up_proj").t(),
        W_gate=matrix("mlp.gate_proj").t(),
        W_out=matrix("mlp.down_proj").t(),
        b_Q=bias("q_proj"),
        b_K=bias("k_proj"),
        b_V=bias("v_proj"),
        b_O=bias("o_proj"),
        ln1_w=1 + matrix("input_layernorm"),
        ln2_w=1 + matrix("pre_feedforward_layernorm"),
    )


PATHS = ModulePaths(
    blocks="model.layers",
    final_norm="model.norm",
    unembed="lm_head",
    ln1="input_layernorm",
    ln2="pre_feedforward_layernorm",
    attention="self_attn",
    attention_out="self_attn.o_proj",
    attention_post="post_attention_layernorm",
    mlp="mlp",
    mlp_down="mlp.down_proj",
    mlp_post_norm="post_feedforward_layernorm",
    norm_offset=1.0,
    embeddings=("model.embed_tokens",),
    weights=weights,
    options=OPTIONS,
)


def make(
    module: nn.Module,
    name: str,
    *,
    bos: int | None = None,
    processing: Literal["raw", "folded"] = "raw",
) -> ThinModel:
    """Name the sites of a Gemma.

    Args:
        module: ``Gemma2ForCausalLM`` or ``Gemma3ForCausalLM``; frozen, not copied.
        name: The model's name for people.
        bos: Token that starts a document.
        processing: What was done to the weights.
    """
    config: Any = module.config
    info = model_info(
        config,
        name,
        "gemma",
        d_mlp=config.intermediate_size,
        bos=bos,
        processing=processing,
        vocabulary="gemma",
    )
    return ThinModel(module, info, replace(PATHS, softcap=config.final_logit_softcapping))
