"""Pythia and other GPT-NeoX models: ``transformers.GPTNeoXForCausalLM``, its blocks parallel or not.

Source: Biderman et al. 2023, https://github.com/EleutherAI/pythia.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Literal

from torch import Tensor, nn

from saecli.core.hooks import ThinModel
from saecli.core.model import BlockWeights, ModelInfo
from saecli.core.paths import ModulePaths
from zoo.huggingface import OPTIONS, model_info


def weights(block: nn.Module, info: ModelInfo) -> BlockWeights:
    """Weights of a GPT-NeoX block, all as views. Its joint matrix interleaves query, key and value head by head."""
    heads, d_head = info.n_heads, info.d_head

    def get(path: str) -> Tensor:
        return attrgetter(path)(block)

    qkv = get("attention.query_key_value.weight").view(heads, 3, d_head, info.d_model).transpose(2, 3).unbind(1)
    bias = attrgetter("attention.query_key_value.bias")(block)
    b_qkv = (None, None, None) if bias is None else bias.view(heads, 3, d_head).unbind(1)
    return BlockWeights(
        W_Q=qkv[0],
        W_K=qkv[1],
        W_V=qkv[2],
        W_O=get("attention.dense.weight").t().unflatten(0, (heads, d_head)),
        W_in=get("mlp.dense_h_to_4h.weight").t(),
        W_out=get("mlp.dense_4h_to_h.weight").t(),
        b_Q=b_qkv[0],
        b_K=b_qkv[1],
        b_V=b_qkv[2],
        b_O=get("attention.dense.bias"),
        b_in=get("mlp.dense_h_to_4h.bias"),
        b_out=get("mlp.dense_4h_to_h.bias"),
        ln1_w=get("input_layernorm.weight"),
        ln1_b=get("input_layernorm.bias"),
        ln2_w=get("post_attention_layernorm.weight"),
        ln2_b=get("post_attention_layernorm.bias"),
    )


PATHS = ModulePaths(
    blocks="gpt_neox.layers",
    final_norm="gpt_neox.final_layer_norm",
    unembed="lm_head",
    ln1="input_layernorm",
    ln2="post_attention_layernorm",
    attention="attention",
    attention_out="attention.dense",
    mlp="mlp",
    mlp_down="mlp.dense_4h_to_h",
    embeddings=("gpt_neox.embed_in",),
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
    """Name the sites of a GPT-NeoX model.

    Args:
        module: ``GPTNeoXForCausalLM``; frozen, not copied.
        name: The model's name for people.
        bos: Token that starts a document; Pythia's tokenizer adds none.
        processing: What was done to the weights.
    """
    config: Any = module.config
    info = model_info(
        config,
        name,
        "pythia",
        d_mlp=config.intermediate_size,
        bos=bos,
        parallel=config.use_parallel_residual,
        processing=processing,
        vocabulary="pythia",
    )
    return ThinModel(module, info, PATHS)
