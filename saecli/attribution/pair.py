"""Two dictionaries with a part of the model between them: how features at one site make those at another.

The part is the MLP (``mlp_in`` → ``mlp_out``), the MLP with its norm and skip path (``resid_mid`` → ``resid_post``) or
a whole block (``resid_pre`` → ``resid_pre`` of the next layer). It is given what the source features decode to, their
bias b_dec included and their reconstruction error left out, on every path of it; positions that are not counted (first
tokens, padding) have the model's own values.

Source: gpt-circuits; the residual stream is replaced as such, skip path included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, SparseActs
from saecli.core.errors import InputError
from saecli.core.model import Block, HookedModel, ModelInfo
from saecli.core.site import Site
from saecli.core.suite import Suite

_ELSEWISE: Final = ("temporal", "matching_pursuit")
"""Architectures whose features depend on more than one pre-activation each."""


@dataclass(frozen=True)
class FeaturePair:
    """Source features, a part of the model, target features.

    Attributes:
        up, down: Dictionaries of the source and the target.
        component: What the source reads [B, S, d] → what the target reads.
        positionwise: Whether nothing passes between positions; if not, the component is a whole block.
        width: Of the widest layer within.
    """

    up: Dictionary
    down: Dictionary
    component: Callable[[Tensor], Tensor]
    positionwise: bool
    width: int

    def decode(self, acts: SparseActs) -> Tensor:
        """Source features [T, K] → what the component is given [T, d]."""
        return self.up.decode_sparse(acts)

    def through(self, x: Tensor) -> Tensor:
        """[T, d] or [N, S, d] → what the target reads, of the same leading shape."""
        return self.component(x) if x.ndim == 3 else self.component(x[None])[0]

    @property
    def block(self) -> Block:
        """The component where something passes between positions."""
        assert isinstance(self.component, Block)  # noqa: S101
        return self.component

    @cached_property
    def directions_FD(self) -> Tensor:
        """Gradient of every active target feature by what it reads, the same wherever it is active."""
        features_F = torch.arange(self.down.n_latents, device=self.down.W_enc_DF.device)
        return self.down.encoder_directions(self.down.W_enc_DF.T, features_F)


def check_pair(suite: Suite, info: ModelInfo, pair: tuple[Site, Site]) -> None:
    """See that a suite has an autoencoder at both sites, and the model a part between them.

    Raises:
        UsageError: No such site in the model.
        InputError: A missing dictionary, or one whose features cannot be taken apart so.
    """
    for site in pair:
        info.check(site)
        config = suite.configs.get(site)
        if config is None or config.reads != config.writes:
            there = ", ".join(str(one.reads) for one in suite.configs.values() if one.reads == one.writes) or "none"
            raise InputError(
                f"{suite.info.name} has no autoencoder at {site}: it has {there}.",
                f"Train one: saecli train sae --kind {site.kind}.",
            )
        if config.options.get("normalize") or config.options.get("skip") or config.arch in _ELSEWISE:
            raise InputError(
                f"The dictionary of {suite.info.name} at {site} normalises its input, has a skip path or encodes in "
                "steps: its features are not scored in pairs.",
                "Use dictionaries of another architecture.",
            )


def feature_pair(model: HookedModel, suite: Suite, pair: tuple[Site, Site]) -> FeaturePair:
    """The pair of a suite on a model; see :func:`check_pair` for what is refused."""
    check_pair(suite, model.info, pair)
    up, down = pair
    block = model.block(up.layer)
    parts: dict[str, Callable[[Tensor], Tensor]] = {
        "mlp_in": block.mlp,
        "resid_mid": lambda x: x + block.mlp(block.ln2(x)),
        "resid_pre": block,
    }
    wide = max(model.info.d_mlp, model.info.d_model)
    return FeaturePair(suite[up], suite[down], parts[up.kind], up.kind != "resid_pre", wide)
