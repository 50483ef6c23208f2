"""Dictionaries whose encoder is their decoder, transposed, and has no bias: there is one matrix, not two copies."""

from __future__ import annotations

from typing import Any

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError


class Tied(Dictionary):
    """Base of such architectures; with option ``tied_weights`` False the encoder is a matrix of its own."""

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        if config.d_in != config.d_out:
            raise UsageError(f"A {config.arch} dictionary writes what it reads, and d_in and d_out differ.")
        self.tied = bool(config.options.get("tied_weights", True))
        del self.b_enc_F
        if self.tied:
            del self.W_enc_DF

    def __getattr__(self, name: str) -> Any:
        return self.W_dec_FD.T if name == "W_enc_DF" and self.tied else super().__getattr__(name)
