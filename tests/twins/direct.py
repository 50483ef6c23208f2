"""Slow, obvious twin of :mod:`saecli.attribution.direct`: the model itself, with norms and patterns of another pass.

Norm modules divide by the scales that they had on the prompt, softmax returns what it returned there, and MLPs (and
attention that dictionaries stand in for) add what they added, plus what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary
from saecli.core.hooks import ThinModel, explicit_softmax
from saecli.core.site import Site
from saecli.dictionaries.cross_layer import CrossLayer

LOGITS = None
"""Where :meth:`FrozenTwin.run` keeps the logits."""


class FrozenTwin:
    """A model at one prompt.

    Args:
        model: A model of forward hooks.
        dictionaries: By the site they read.
        tokens_S: The prompt.
    """

    def __init__(self, model: ThinModel, dictionaries: Mapping[Site, Dictionary], tokens_S: Tensor) -> None:
        self.model, self.dictionaries, self.tokens = model, dictionaries, tokens_S[None]
        self.scales: dict[nn.Module, Tensor] = {}
        self.patterns: list[Tensor] = []
        self.places = {Site(layer, "mlp_out") for layer in range(model.info.n_layers)}
        self.places |= {place for one in dictionaries.values() for place in one.config.written}
        self.clean: dict[Site, Tensor] = {}
        self.clean = self.run({}, record=True)
        self.active = {
            site: (one.encode(self.clean[site]) != 0).to(tokens_S.device) for site, one in dictionaries.items()
        }

    def run(
        self, changes: Mapping[Site, Tensor], *, features_act: bool = False, record: bool = False
    ) -> dict[Site, Tensor]:
        """Values [S, d] of every site that is read, of the embedding and the final stream, and at LOGITS the logits.

        Args:
            changes: Place written (or the embedding) → what is added to what it added on the prompt.
            features_act: Active features follow what they read, as far as it is another than on the prompt.
            record: The prompt's own pass.
        """
        seen: dict[Site, Tensor] = {}
        first, last = Site(0, "resid_pre"), Site(self.model.info.n_layers, "resid_pre")

        def edit(site: Site):
            def do(x: Tensor) -> Tensor:
                out = x
                if not record and site == first:
                    out = x + changes.get(site, 0.0)
                seen[site] = out[0]
                if record or site not in self.places:
                    return out
                value = self.clean[site] + changes.get(site, 0.0)
                for read, dictionary in self.dictionaries.items():
                    if site not in dictionary.config.written:
                        continue
                    moved = seen[read] - self.clean[read]
                    if dictionary.W_skip_DO is not None and site == dictionary.config.writes:
                        value = value + moved @ dictionary.W_skip_DO
                    if features_act:
                        x_SD = self.clean[read]
                        norm = dictionary.input_norm(x_SD)
                        change = (moved if norm is None else moved / norm.divisor) @ dictionary.W_enc_DF
                        change = change * self.active[read]
                        place = dictionary.config.written.index(site)
                        across = isinstance(dictionary, CrossLayer)
                        decoder = dictionary.W_dec_FLD[:, place] if across else dictionary.W_dec_FD
                        same = dictionary.config.reads == dictionary.config.writes
                        value = value + (change if norm is None or not same else change * norm.factor) @ decoder
                return value[None]

            return do

        wanted = {first, last, *self.dictionaries, *self.places}
        patterns = iter(list(self.patterns))
        with self._norms(record), self._softmax(record, patterns), ExitStack() as stack:
            for part in self.model._parts:
                stack.enter_context(explicit_softmax(part.attention))
            run = self.model.run(self.tokens, write={site: edit(site) for site in wanted})
        seen[LOGITS] = run.logits[0]  # type: ignore[index]
        return seen

    @contextmanager
    def _norms(self, record: bool) -> Iterator[None]:
        def hook(norm: Any, args: tuple[Tensor], out: Tensor) -> Tensor:
            x = args[0]
            centred = isinstance(norm, nn.LayerNorm)
            c = x - x.mean(-1, keepdim=True) if centred else x
            eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
            if record:
                self.scales[norm] = (c.square().mean(-1, keepdim=True) + eps).sqrt()
            gain = norm.weight if centred else 1 + norm.weight
            frozen = c / self.scales[norm] * gain
            frozen = frozen + norm.bias if centred else frozen
            assert not record or torch.allclose(frozen, out, rtol=1e-6, atol=1e-6)
            return frozen

        with ExitStack() as stack:
            for norm in self.model.module.modules():
                if type(norm).__name__.endswith("Norm"):
                    stack.callback(norm.register_forward_hook(hook).remove)
            yield

    @contextmanager
    def _softmax(self, record: bool, patterns: Iterator[Tensor]) -> Iterator[None]:
        true = torch.softmax

        def softmax(scores: Tensor, dim: int = -1, dtype: torch.dtype | None = None, **_: object) -> Tensor:
            if not record:
                return next(patterns)
            self.patterns.append(true(scores, dim=dim, dtype=dtype))
            return self.patterns[-1]

        with (
            mock.patch.object(torch.nn.functional, "softmax", softmax),
            mock.patch.object(torch.Tensor, "softmax", softmax),
        ):
            yield
