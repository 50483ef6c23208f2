"""What takes the place of what is removed, as the user asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saecli.asking.question import Question
from saecli.attribution.stand_in import StandIn, of_data, of_prompt
from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.trace.config import TraceConfig

if TYPE_CHECKING:
    from saecli.data.vocabulary import Vocabulary


class Baselines:
    """Makes stand-ins for questions; data are read once.

    Args:
        config: The user's choices.
        model: The model.
        dictionaries: Of the sites that are traced.
        bos: Token that the dictionaries' sequences began with.
        progress: Told what is going on.
    """

    def __init__(
        self,
        config: TraceConfig,
        model: HookedModel,
        dictionaries: Mapping[Site, Dictionary],
        bos: int | None,
        progress: Progress,
    ) -> None:
        self.config, self.model, self.dictionaries = config, model, dictionaries
        self.bos, self.progress = bos, progress
        self._data: dict[int, Tensor] = {}

    def of(self, question: Question) -> StandIn | None:
        """What stands in for what is removed; None for nothing.

        Raises:
            UsageError: No data are known, or they have other contexts.
            InputError: No sequence of them is as long as the input.
        """
        name = self.config.ablation or ("zero" if question.patch_S is None else "patch")
        tokens_S = question.tokens_S
        if name == "zero":
            return None
        if name == "patch":
            patch_S = question.patch_S
            if patch_S is None:
                raise UsageError("--ablation patch needs a counterfactual for every input.")
            return of_prompt(self.model, self.dictionaries, patch_S, question.metric, tokens_S)
        data_BS = self._sequences(len(tokens_S)).to(tokens_S.device)
        if name == "mean":
            return of_data(self.model, self.dictionaries, tokens_S, data_BS)
        different_BS = data_BS[(data_BS != tokens_S).any(1)]
        if not len(different_BS):
            raise InputError("All sequences of --data are the input itself.", "Ask for more --sequences.")
        generator = torch.Generator().manual_seed(self.config.seed)
        chosen_S = different_BS[int(torch.randint(len(different_BS), (1,), generator=generator))]
        return of_prompt(self.model, self.dictionaries, chosen_S, question.metric, tokens_S, "resample")

    def _sequences(self, length: int) -> Tensor:
        """int64 [B, S]: sequences of the data that are as long as the input."""
        if length in self._data:
            return self._data[length]
        from saecli.data.names import GAMES
        from saecli.data.sequences import open_sequences
        from zoo.load import load_vocabulary
        from zoo.reading import data_of, make_data, other_data

        config, info = self.config, self.model.info
        data = config.data or data_of(config.model, info.vocabulary)
        if not data:
            raise UsageError(
                f"{info.name} reads {info.vocabulary or 'an unknown vocabulary'}, and no data are named.",
                "Add --data: data:NAME, token shards, text, or hf:ORG/NAME.",
            )
        make_data(data, self.progress)
        if notice := other_data(config.model, data):
            self.progress(notice)
        vocabulary: Callable[[], Vocabulary] = lambda: load_vocabulary(config.model, info.vocabulary)  # noqa: E731
        found = open_sequences(
            data,
            config.sequences,
            n_ctx=0 if data in GAMES else length,
            bos=self.bos,
            vocabulary=vocabulary,
            progress=self.progress,
        )
        if info.vocabulary and found.vocabulary and info.vocabulary != found.vocabulary:
            raise InputError(f"{data} is written in {found.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
        rows_BS = found.tokens_BS[found.lengths_B >= length, :length].long()
        if not len(rows_BS):
            raise InputError(f"No sequence of {data} has the input's {length} tokens.", "Trace a shorter input.")
        if int(rows_BS.max()) >= info.d_vocab:
            raise InputError(f"{data} has token {int(rows_BS.max())}; {info.name} knows 0..{info.d_vocab - 1}.")
        self._data[length] = rows_BS
        return rows_BS
