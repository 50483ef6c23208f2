"""What takes the place of what is removed, as the user asks for it."""

from __future__ import annotations

from collections.abc import Mapping

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
from saecli.trace.data import open_data


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
        found = open_data(self.config, self.model, self.bos, length, self.progress)
        rows_BS = found.tokens_BS[found.lengths_B >= length, :length].long()
        if not len(rows_BS):
            raise InputError(f"No sequence of the data has the input's {length} tokens.", "Trace a shorter input.")
        self._data[length] = rows_BS
        return rows_BS
