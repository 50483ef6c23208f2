"""What every adapter of a Hugging Face causal language model shares: reading sizes from the configuration."""

from __future__ import annotations

from typing import Any, Final, Literal

from saecli.core.model import ModelInfo

OPTIONS: Final = {"use_cache": False, "return_dict": True}
"""Arguments of every call: no key-value cache, and an object with ``logits``."""


def model_info(
    config: Any,
    name: str,
    family: str,
    *,
    d_mlp: int,
    bos: int | None = None,
    parallel: bool = False,
    processing: Literal["raw", "folded"] = "raw",
    vocabulary: str = "",
) -> ModelInfo:
    """Describe a model by its Hugging Face configuration, in the names that all configurations answer to.

    Args:
        config: ``transformers`` configuration of a text model.
        name, family, d_mlp, bos, parallel, processing, vocabulary: See :class:`saecli.core.model.ModelInfo`.
    """
    heads = config.num_attention_heads
    return ModelInfo(
        name=name,
        family=family,
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        n_heads=heads,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // heads,
        d_mlp=d_mlp,
        n_ctx=config.max_position_embeddings,
        d_vocab=config.vocab_size,
        parallel=parallel,
        processing=processing,
        vocabulary=vocabulary,
        bos=bos,
    )
