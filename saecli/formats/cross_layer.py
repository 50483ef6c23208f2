"""A layer of a cross-layer transcoder from tensors of a file, its decoder left there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from saecli.core.dictionary import DictionaryConfig
from saecli.dictionaries.cross_layer import CrossLayer
from saecli.formats.assembly import dictionary_of


def cross_layer_of(
    config: DictionaryConfig, state: Mapping[str, Tensor], decoder_FLD: Tensor, dtype: torch.dtype, where: Path
) -> CrossLayer:
    """A frozen dictionary whose decoder rows are read when they are needed.

    Args:
        config: What it is.
        state: Parameter → tensor, but for the decoder.
        decoder_FLD: The decoder [F, L, d_out] as a view of the mapped file, in the file's number type.
        dtype: Number type in memory.
        where: What it is read from, for messages.

    Raises:
        InputError: The config is one that no dictionary can have.
    """
    nothing = torch.zeros((), dtype=dtype).expand(decoder_FLD.shape)  # takes the decoder's place without its memory
    made = cast(CrossLayer, dictionary_of(config, {**state, "W_dec_FLD": nothing}, dtype, where))
    made.leave_decoder_on_disk(decoder_FLD)
    return made
