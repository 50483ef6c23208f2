"""Connections: which upstream features each feature of a suite may depend on.

A module is named by the site its dictionary reads, as a :class:`~saecli.core.suite.Suite` names it: the autoencoder of
attention 3 is ``3.attn_out``, the transcoder of MLP 3 is ``3.mlp_in`` (it writes ``3.mlp_out``). For each pair of a
downstream and an upstream module the connections of downstream feature j are row j of a sparse matrix (CSR).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from saecli.core.errors import UsageError
from saecli.core.site import Site

Rule = Literal["per-feature", "overall", "all"]
What = Literal["features", "tokens", "logits"]


_DRAWN: Final = 1 << 22
"""Random numbers drawn together."""


class Row(NamedTuple):
    """Upstream features of one feature, strongest first.

    Attributes:
        indices_E: int32 feature indices.
        scores_E: float32, or None if the connections have no scores.
    """

    indices_E: Tensor
    scores_E: Tensor | None


@dataclass(frozen=True)
class Module:
    """A dictionary as connections see it, or an end of the model.

    Attributes:
        reads, writes: Its sites; it is named by the first.
        n_latents: Number of features.
        what: What is connected: the ``features`` of a dictionary, the embeddings of ``tokens`` or the ``logits`` (see
            :meth:`embed` and :meth:`logits`).
    """

    reads: Site
    writes: Site
    n_latents: int
    what: What = "features"

    @classmethod
    def embed(cls, tokens: int) -> Module:
        """The token embedding, upstream of everything: "feature" v is token v, active (1) where it stands."""
        return cls(Site(0, "resid_pre"), Site(0, "resid_pre"), tokens, "tokens")

    @classmethod
    def logits(cls, layers: int, tokens: int) -> Module:
        """The unembedding of a model of so many layers, downstream of everything: "feature" v is the logit of v."""
        return cls(Site(layers, "resid_pre"), Site(layers, "resid_pre"), tokens, "logits")

    def is_upstream_of(self, down: Module, *, parallel: bool) -> bool:
        """Whether what this module writes reaches what `down` reads.

        Args:
            down: The other module.
            parallel: Whether attention and MLP of a block both read the block's input, so that nothing passes from the
                one to the other within a block.
        """
        across = self.writes.kind.startswith("attn") and down.reads.kind.startswith("mlp")
        if parallel and across and self.writes.layer == down.reads.layer:
            return False
        return self.writes < down.reads


@dataclass(frozen=True, eq=False)
class Rows:
    """The connections of one pair of modules, as CSR over downstream features.

    Attributes:
        indptr: int64 [F_down + 1]; row j is ``indices[indptr[j] : indptr[j + 1]]``.
        indices: int32 [E], upstream features, distinct within a row, strongest first.
        scores: float32 [E], whose size does not grow within a row; or None.
    """

    indptr: Tensor
    indices: Tensor
    scores: Tensor | None = None

    def fault(self, down: int, up: int) -> str:
        """What is wrong with the rows for `down` and `up` features; empty if nothing is."""
        kinds = self.indptr.dtype, self.indices.dtype, self.scores.dtype if self.scores is not None else torch.float32
        if kinds != (torch.int64, torch.int32, torch.float32):
            return "the number types are not int64, int32 and float32"
        if self.indptr.shape != (down + 1,) or self.indices.ndim != 1:
            return f"there are no {down} rows"
        counts = self.indptr.diff()
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.indices) or (counts < 0).any():
            return "the rows do not divide the connections"
        if len(self.indices) and (int(self.indices.min()) < 0 or int(self.indices.max()) >= up):
            return f"a feature lies outside 0..{up - 1}"
        row_E = torch.arange(down).repeat_interleave(counts)
        if len((row_E * up + self.indices).unique()) != len(self.indices):
            return "a row names a feature twice"
        if self.scores is not None:
            if self.scores.shape != self.indices.shape or not self.scores.isfinite().all():
                return "the scores are not one finite number per connection"
            same_row = row_E[1:] == row_E[:-1]
            if (self.scores.abs().diff() > 0)[same_row].any():
                return "the scores of a row are not in descending order of size"
        return ""


@dataclass(frozen=True, eq=False)
class Connections:
    """Downstream feature → upstream features, for every pair of modules.

    Attributes:
        modules: The suite's dictionaries.
        rule: How the connections were kept: the strongest ``limit`` ``per-feature`` (over all upstream modules
            together), the strongest ``limit`` ``overall``, or ``all``: every feature depends on all upstream ones, and
            there are no rows.
        limit: How many were kept; None for ``all`` or if unknown.
        rows: (downstream site, upstream site) → rows. A pair that is missing has no connections.
        parallel: Whether the model's blocks run attention and MLP in parallel.
        score: What the scores are, in words; empty without scores.
        model: Name of the model.
        model_fingerprint, suite_fingerprint: What the connections belong to; empty if unknown.
        details: How the scores were computed: the method's settings and the data, by name.

    Raises:
        UsageError: Pairs of unknown modules or against the order of computation, or rows with a fault.
    """

    modules: tuple[Module, ...]
    rule: Rule
    limit: int | None = None
    rows: Mapping[tuple[Site, Site], Rows] = field(default_factory=dict)
    parallel: bool = False
    score: str = ""
    model: str = ""
    model_fingerprint: str = ""
    suite_fingerprint: str = ""
    details: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self._by_site) != len(self.modules):
            raise UsageError("Connections have two modules that read one site.")
        if self.rule not in ("per-feature", "overall", "all"):
            raise UsageError(f"Connections have no rule {self.rule!r}.", "The rules are per-feature, overall and all.")
        if self.rule == "all" and (self.rows or self.limit is not None):
            raise UsageError("Connections between all features have no rows and no limit.")
        for (down, up), rows in self.rows.items():
            if (down, up) not in self._possible:
                raise UsageError(f"Features at {down} cannot depend on features at {up}.")
            if fault := rows.fault(self._by_site[down].n_latents, self._by_site[up].n_latents):
                raise UsageError(f"The connections of {down} with {up} are damaged: {fault}.")
        if self.limit is not None:
            kept = self.n_edges if self.rule == "overall" else self.most_per_feature
            if self.limit < 0 or kept > self.limit:
                raise UsageError(f"Connections of rule {self.rule} with limit {self.limit} hold {kept}.")

    @cached_property
    def pairs(self) -> tuple[tuple[Site, Site], ...]:
        """(downstream, upstream) sites that are connected, in the order of computation."""
        return self._possible if self.rule == "all" else tuple(pair for pair in self._possible if pair in self.rows)

    @property
    def n_edges(self) -> int:
        """Number of connections."""
        if self.rule == "all":
            return sum(self._by_site[down].n_latents * self._by_site[up].n_latents for down, up in self._possible)
        return sum(len(rows.indices) for rows in self.rows.values())

    @property
    def most_per_feature(self) -> int:
        """The largest number of connections that any feature has."""
        return max((int(self.in_degree(module.reads).max()) for module in self.modules if module.n_latents), default=0)

    def row(self, down: Site, up: Site, feature: int) -> Row:
        """Features at `up` that one feature at `down` depends on.

        Raises:
            UsageError: No such feature.
        """
        module = self._module(down)
        if not 0 <= feature < module.n_latents:
            raise UsageError(f"{down} has no feature {feature}: its features are 0..{module.n_latents - 1}.")
        if (down, up) not in self.pairs:
            return Row(torch.empty(0, dtype=torch.int32), None)
        if self.rule == "all":
            return Row(torch.arange(self._module(up).n_latents, dtype=torch.int32), None)
        rows = self.rows[down, up]
        here = slice(int(rows.indptr[feature]), int(rows.indptr[feature + 1]))
        return Row(rows.indices[here], None if rows.scores is None else rows.scores[here])

    def in_degree(self, down: Site) -> Tensor:
        """Number of connections of every feature at `down`: int64 [F_down]."""
        total = torch.zeros(self._module(down).n_latents, dtype=torch.int64)
        for here, up in self.pairs:
            if here == down:
                total += self._module(up).n_latents if self.rule == "all" else self.rows[here, up].indptr.diff()
        return total

    def restrict(self, *, sites: Collection[Site] | None = None, per_feature: int | None = None) -> Connections:
        """A part of the connections.

        Args:
            sites: Modules to keep; all if not given.
            per_feature: Keep so many of each feature, the strongest over all its upstream modules; ties fall to the
                earlier module.

        Raises:
            UsageError: `per_feature` where there are no scores to choose by.
        """
        kept = self
        if sites is not None:
            wanted = {self._module(site).reads for site in sites}
            modules = tuple(module for module in self.modules if module.reads in wanted)
            rows = {pair: value for pair, value in self.rows.items() if wanted.issuperset(pair)}
            kept = replace(self, modules=modules, rows=rows)
        if per_feature is None:
            return kept
        if per_feature < 0 or kept.rule == "all" or any(rows.scores is None for rows in kept.rows.values()):
            raise UsageError(f"The {per_feature} strongest connections cannot be chosen: these have no scores.")
        chosen: dict[tuple[Site, Site], Rows] = {}
        for module in kept.modules:
            chosen |= kept._strongest(module, per_feature)
        return replace(kept, rule="per-feature", limit=per_feature, rows=chosen)

    def randomised(self, seed: int) -> Connections:
        """As many connections in every row of every pair, to distinct upstream features drawn at random, unscored.

        With one seed a row draws the same order of features however many it needs, so nested connections stay nested.

        Raises:
            UsageError: All features are connected, so nothing can be drawn.
        """
        if self.rule == "all":
            raise UsageError("Connections between all features cannot be drawn at random.")
        rows = {
            pair: _drawn(self.rows[pair], self._by_site[pair[1]].n_latents, (seed << 20) + number)
            for number, pair in enumerate(self._possible)
            if pair in self.rows
        }
        return replace(self, rows=rows, score="random")

    # ------------------------------------------------------------------------------------------------------------------

    def _strongest(self, down: Module, most: int) -> dict[tuple[Site, Site], Rows]:
        pairs = [pair for pair in self.pairs if pair[0] == down.reads]
        if not pairs:
            return {}
        blocks = [self.rows[pair] for pair in pairs]
        row_E = torch.cat([torch.arange(down.n_latents).repeat_interleave(block.indptr.diff()) for block in blocks])
        block_E = torch.arange(len(blocks)).repeat_interleave(torch.tensor([len(block.indices) for block in blocks]))
        scores_E = torch.cat([block.scores for block in blocks if block.scores is not None])
        indices_E = torch.cat([block.indices for block in blocks])
        order_E = scores_E.abs().argsort(descending=True, stable=True)
        order_E = order_E[row_E[order_E].argsort(stable=True)]  # by row, then by size
        counts_F = row_E.bincount(minlength=down.n_latents)
        rank_E = torch.arange(len(order_E)) - (counts_F.cumsum(0) - counts_F).repeat_interleave(counts_F)
        order_E = order_E[rank_E < most]
        result = {}
        for number, pair in enumerate(pairs):
            here = order_E[block_E[order_E] == number]
            counts = row_E[here].bincount(minlength=down.n_latents)
            result[pair] = Rows(indptr_of(counts), indices_E[here], scores_E[here])
        return result

    def _module(self, site: Site) -> Module:
        if site not in self._by_site:
            known = ", ".join(str(module.reads) for module in self.modules)
            raise UsageError(f"The connections have no module that reads {site}: they have {known}.")
        return self._by_site[site]

    @cached_property
    def _by_site(self) -> dict[Site, Module]:
        return {module.reads: module for module in self.modules}

    @cached_property
    def _possible(self) -> tuple[tuple[Site, Site], ...]:
        ordered = sorted(self.modules, key=lambda module: module.reads)
        return tuple(
            (down.reads, up.reads)
            for down in ordered
            for up in ordered
            if up.is_upstream_of(down, parallel=self.parallel)
        )


def indptr_of(counts_F: Tensor) -> Tensor:
    """Lengths of rows [F] → where each begins and the last ends: int64 [F + 1]."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts_F.to(torch.int64).cumsum(0)])


def _drawn(rows: Rows, up: int, seed: int) -> Rows:
    """Distinct features; the numbers drawn for a row do not depend on how many it needs."""
    generator, counts_F, parts = torch.Generator().manual_seed(seed), rows.indptr.diff(), []
    for counts_R in counts_F.split(max(1, _DRAWN // max(1, up))):
        order_RU = torch.rand(len(counts_R), up, generator=generator).argsort(1)
        parts.append(order_RU[torch.arange(up) < counts_R[:, None]].int())
    return Rows(rows.indptr, torch.cat(parts) if parts else rows.indices)
