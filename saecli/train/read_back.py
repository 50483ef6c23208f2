"""What a step of training is about to reconstruct: with the selection of the step, not that of inference."""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.dictionaries.topk import TopK
from saecli.train.batchtopk_step import select_batch
from saecli.train.matryoshka_step import prefixes
from saecli.train.ragged import centred
from saecli.train.sparse_step import select
from saecli.train.step import StepInput

_ROWS: Final = 1024
"""Of dense activations that are held at once."""


def read_back(recipe: str, dictionary: Dictionary, step: StepInput) -> Tensor:
    """f W_dec + b_dec, without a skip path: [B, G, D], the prefixes of a Matryoshka dictionary, G = 1 of others."""
    if recipe == "topk":
        values_BK, indices_BK = select(cast(TopK, dictionary), centred(dictionary, step), step)
        decoded_BD = embedding_bag(indices_BK, dictionary.W_dec_FD.detach(), per_sample_weights=values_BK, mode="sum")
        return (decoded_BD + dictionary.b_dec_D.detach())[:, None]
    if recipe in ("batchtopk", "matryoshka"):
        made = cast(JumpReLU, dictionary)
        chosen, _ = select_batch(made, centred(made, step), step)
        if recipe == "matryoshka":
            return prefixes(made, chosen) + made.b_dec_D.detach()
        entries = chosen.indices_N, made.W_dec_FD.detach(), chosen.starts_B[:-1]
        decoded_BD = embedding_bag(*entries, per_sample_weights=chosen.values_N, mode="sum")
        return (decoded_BD + made.b_dec_D.detach())[:, None]
    with torch.no_grad():
        parts = [dictionary.decode(dictionary.encode(part_CD)) for part_CD in step.x_BD.split(_ROWS)]
    return torch.cat(parts)[:, None]
