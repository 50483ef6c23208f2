"""minGPT's state dicts, such as the published OthelloGPT: ``tok_emb.weight``, ``blocks.0.attn.query.weight``, ….

Linear layers are stored [out, in], query, key and value apart; the activation is the exact GELU. The tensors do not
tell the number of heads: a ``config.json`` beside them does.

Sources: https://github.com/karpathy/minGPT, https://github.com/likenneth/othello_world.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

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
    count_layers,
    matrix,
    one,
)
from saecli.formats.weights import Weights

_MINGPT: Final = {
    "ln_1": "ln1",
    "ln_2": "ln2",
    "attn.c_proj": "attn.proj",
    "mlp.c_fc": "mlp.0",
    "mlp.c_proj": "mlp.2",
}
_ENDS: Final = {
    EMBEDDING: "tok_emb.weight",
    "transformer.ln_f.weight": "ln_f.weight",
    "transformer.ln_f.bias": "ln_f.bias",
    HEAD: "head.weight",
}


def read_mingpt(weights: Weights, dtype: torch.dtype) -> GPT:
    """Reads a state dict of minGPT.

    Raises:
        InputError: Tensors are missing, unknown or of other shapes, or the number of heads is not known.
    """
    shapes = weights.shapes
    (vocab, d_model), positions = matrix(weights, "tok_emb.weight"), shapes.get("pos_emb", ())
    if len(positions) != 3:
        raise InputError(f"{weights.path} has no pos_emb of shape [1, positions, {d_model}].")
    document = beside(weights.path)
    config = config_of(
        weights.path,
        vocab,
        positions[1],
        count_layers(weights),
        _heads(document, weights.path, vocab, d_model),
        d_model,
        d_mlp=matrix(weights, "blocks.0.mlp.0.weight")[0],
        activation=activation_of(document, weights.path),
        tied=False,
    )

    def part_of(name: str, shape: tuple[int, ...]) -> Part:
        if name == "transformer.wpe.weight":
            return one("pos_emb", (1, *shape), lambda tensor: tensor[0])
        if name in _ENDS:
            return one(_ENDS[name], shape)
        _, _, layer, rest = name.split(".", 3)
        module, kind = rest.rsplit(".", 1)
        if module == "attn.c_attn":
            keys = tuple(f"blocks.{layer}.attn.{letter}.{kind}" for letter in ("query", "key", "value"))
            single = (shape[-1] // 3, *shape[:-1])
            return Part(keys, (single,) * 3, _joined)
        key = f"blocks.{layer}.{_MINGPT[module]}.{kind}"
        return one(key, shape[::-1], torch.t) if len(shape) == 2 else one(key, shape)

    ignored = [name for name in shapes if name.endswith(MASKS)]
    return assemble(config, part_of, weights, dtype, ignored=ignored, said_by="the rest of it")


def _joined(*three: Tensor) -> Tensor:
    """Query, key and value [d, d] or [d] → c_attn [d, 3 * d] or [3 * d]."""
    return torch.cat(three).t() if three[0].ndim == 2 else torch.cat(three)


def _heads(document: Mapping[str, Any], path: Path, vocab: int, d_model: int) -> int:
    """The number of heads, which minGPT's tensors do not tell."""
    found = next((document[key] for key in ("n_head", "n_heads", "num_attention_heads") if key in document), None)
    if found is None and (vocab, d_model) == (61, 512):
        found = 8  # OthelloGPT as it was published
    if type(found) is not int:
        raise InputError(
            f"{path} does not say how many attention heads the model has.",
            'Put a config.json beside it: {"n_head": 8}.',
        )
    return found
