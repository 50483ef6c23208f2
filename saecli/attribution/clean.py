"""The unmodified pass: activations, active features, errors and the metric's gradient at every chosen site.

The gradient with respect to a site is that of the unmodified model, since every dictionary's reconstruction plus its
error is the site's own value (Marks et al. 2024, "Sparse feature circuits", pass-through gradients).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.attribution.metric import FeatureMetric, Metric
from saecli.attribution.stand_in import StandIn
from saecli.core.dictionary import Dictionary, SparseActs
from saecli.core.errors import UsageError
from saecli.core.model import Edit, HookedModel
from saecli.core.site import Site

TRACED_KINDS = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
"""The residual stream and what is added to it."""

ERROR = -1
"""Index that marks the error node of a position."""


@dataclass(frozen=True)
class SiteNodes:
    """Nodes at one site: N features or errors at positions.

    Attributes:
        site: Where they live.
        position_N: Token positions.
        index_N: Feature indices, :data:`ERROR` for the unexplained rest at that position.
        activation_N: Feature activations; the norm of the vector for errors.
        vector_ND: What removing each node takes from the site: what it adds there, less what it adds in its place.
        effect_N: First-order effect of removing it: −gradient · vector, in metric units.
    """

    site: Site
    position_N: Tensor
    index_N: Tensor
    activation_N: Tensor
    vector_ND: Tensor
    effect_N: Tensor

    def __len__(self) -> int:
        return len(self.index_N)

    def take(self, keep: Tensor) -> SiteNodes:
        """The nodes at ``keep`` (a mask or indices)."""
        return SiteNodes(
            self.site,
            self.position_N[keep],
            self.index_N[keep],
            self.activation_N[keep],
            self.vector_ND[keep],
            self.effect_N[keep],
        )

    @property
    def features(self) -> SiteNodes:
        """Only the features."""
        return self.take(self.index_N != ERROR)


@dataclass(frozen=True)
class CleanRun:
    """One prompt through the unmodified model.

    Attributes:
        model, dictionaries: What was run; dictionaries by site in order of computation.
        metric: What is measured.
        tokens_S: The prompt.
        value: The metric.
        values: Site → its tensor [S, d].
        gradients: Site → gradient of the metric [S, d]; of integrated gradients their mean along the path.
        nodes: Site → every active feature and every error, ordered by position, then index.
        tokens: One node per position: what the embedding puts into the residual stream there.
        stand_in: What takes the place of what is removed; None for nothing.
        direct: Site → gradient along the metric's direct path from it [S, d], where it is not that at ``values``.
        live_norms: Whether what features are by their input's norm follows the input, or the norm is held fixed.
    """

    model: HookedModel
    dictionaries: Mapping[Site, Dictionary]
    metric: Metric
    tokens_S: Tensor
    value: float
    values: dict[Site, Tensor]
    gradients: dict[Site, Tensor]
    nodes: dict[Site, SiteNodes]
    tokens: SiteNodes
    stand_in: StandIn | None = None
    direct: Mapping[Site, Tensor] | None = None
    live_norms: bool = False

    @property
    def sites(self) -> list[Site]:
        """Chosen sites in order of computation."""
        return list(self.dictionaries)


@dataclass(frozen=True)
class Prompt:
    """One prompt to run.

    Attributes:
        tokens_S: int64 [S].
        metric: What is measured; its position lies in the prompt.
        stand_in: What takes the place of what is removed, at every site; None for nothing (zero ablation).
    """

    tokens_S: Tensor
    metric: Metric
    stand_in: StandIn | None = None


def clean_run(
    model: HookedModel,
    dictionaries: Mapping[Site, Dictionary],
    tokens_S: Tensor,
    metric: Metric,
    stand_in: StandIn | None = None,
    *,
    live_norms: bool = False,
) -> CleanRun:
    """:func:`clean_runs` of one prompt."""
    return clean_runs(model, dictionaries, [Prompt(tokens_S, metric, stand_in)], live_norms=live_norms)[0]


def clean_runs(
    model: HookedModel,
    dictionaries: Mapping[Site, Dictionary],
    prompts: Sequence[Prompt],
    *,
    live_norms: bool = False,
) -> list[CleanRun]:
    """Run prompts together, once forwards and once backwards, and encode them together.

    Args:
        model: Causal, its parameters frozen: what fills up shorter prompts changes nothing.
        dictionaries: Autoencoders by the site they read and write, asked for one after the other.
        prompts: With metrics of one site.
        live_norms: Differentiate through the norm that a dictionary brings its input to its scale by.

    Raises:
        UsageError: A transcoder, a skip path, no site, or a metric position outside the prompt,
            or a chosen site that the metric cannot see.
    """
    for prompt in prompts:
        _check(model, dictionaries, prompt)
    if list(dictionaries) != sorted(dictionaries):
        dictionaries = dict(sorted(dictionaries.items()))
    first, end = Site(0, "resid_pre"), prompts[0].metric.site(model.info)
    watched = sorted({first, *dictionaries})
    tokens_BS = torch.nn.utils.rnn.pad_sequence([prompt.tokens_S for prompt in prompts], batch_first=True)
    handles: dict[Site, Tensor] = {}

    def handle(site: Site) -> Edit:
        def add_zero(x: Tensor) -> Tensor:
            handles[site] = torch.zeros_like(x, requires_grad=True)
            return x + handles[site]

        return add_zero

    with torch.enable_grad():
        done = model.run(
            tokens_BS, read={*watched, end}, write={site: handle(site) for site in watched}, stop_after=end
        )
        measured = [
            prompt.metric.measure(model, done.sites[end][row : row + 1, prompt.metric.position])[0]
            for row, prompt in enumerate(prompts)
        ]
        found = torch.autograd.grad(torch.stack(measured).sum(), [handles[site] for site in watched], allow_unused=True)
    gradients_B: list[dict[Site, Tensor]] = [{} for _ in prompts]
    values_B: list[dict[Site, Tensor]] = [{} for _ in prompts]
    for site, gradient in zip(watched, found, strict=True):
        gradient_BSD = torch.zeros_like(handles[site]) if gradient is None else gradient
        value_BSD = done.sites[site].detach()
        for row, prompt in enumerate(prompts):
            gradients_B[row][site] = gradient_BSD[row, : len(prompt.tokens_S)]
            values_B[row][site] = value_BSD[row, : len(prompt.tokens_S)]
    nodes_B: list[dict[Site, SiteNodes]] = [{} for _ in prompts]
    with torch.no_grad():
        for site, dictionary in dictionaries.items():
            coded_B = _coded(_traced(dictionary), [values[site] for values in values_B])
            for prompt, values, gradients, nodes, coded in zip(
                prompts, values_B, gradients_B, nodes_B, coded_B, strict=True
            ):
                nodes[site] = _site_nodes(site, dictionary, coded, values[site], gradients[site], prompt.stand_in)
    return [
        CleanRun(
            model,
            dictionaries,
            prompt.metric,
            prompt.tokens_S,
            float(value.detach()),
            values,
            gradients,
            nodes,
            _token_nodes(first, prompt.tokens_S, values[first], gradients[first], prompt.stand_in),
            prompt.stand_in,
            live_norms=live_norms,
        )
        for prompt, value, values, gradients, nodes in zip(
            prompts, measured, values_B, gradients_B, nodes_B, strict=True
        )
    ]


def _check(model: HookedModel, dictionaries: Mapping[Site, Dictionary], prompt: Prompt) -> None:
    """Refuse what cannot be traced; what dictionaries are is looked at when they are read."""
    if not dictionaries:
        raise UsageError("There is no site to trace.")
    if odd := [str(site) for site in dictionaries if site.kind not in TRACED_KINDS]:
        raise UsageError(
            f"Dictionaries at {', '.join(odd)} cannot be traced by what their removal changes there.",
            f"Traced kinds are {', '.join(TRACED_KINDS)}; trace transcoders with --method direct.",
        )
    metric = prompt.metric
    end = metric.site(model.info)
    if end.kind not in TRACED_KINDS:
        raise UsageError(f"A target at {end} cannot be traced.", f"Traced kinds: {', '.join(TRACED_KINDS)}.")
    if late := [
        str(site) for site in dictionaries if site > end or (site == end and isinstance(metric, FeatureMetric))
    ]:
        raise UsageError(f"The target {metric.target} lies at {end}; {', '.join(late)} cannot act on it.")
    if not 0 <= metric.position < len(prompt.tokens_S):
        raise UsageError(f"Position {metric.position} is outside the prompt of {len(prompt.tokens_S)} tokens.")


def _traced(dictionary: Dictionary) -> Dictionary:
    """The dictionary, if it can be traced."""
    config = dictionary.config
    if config.reads != config.writes:
        raise UsageError(
            f"The transcoder that reads {config.reads} adds nothing there, so nothing of it can be removed there.",
            "Trace transcoders with --method direct, or leave them out with --kind.",
        )
    if config.options.get("skip"):
        raise UsageError(f"Dictionaries with a skip path beside their features are not traced ({config.reads}).")
    if not dictionary.positionwise:
        raise UsageError(f"Features that depend on the positions before them are not traced ({config.reads}).")
    return dictionary


def _token_nodes(
    site: Site, tokens_S: Tensor, x_SD: Tensor, gradient_SD: Tensor, stand_in: StandIn | None
) -> SiteNodes:
    positions_S = torch.arange(len(tokens_S), device=tokens_S.device)
    vector_SD = x_SD
    if stand_in is not None:
        vector_SD = x_SD - stand_in.embedding_SD
        vector_SD[: stand_in.begin] = 0
    return SiteNodes(site, positions_S, tokens_S, x_SD.norm(dim=-1), vector_SD, -(gradient_SD * vector_SD).sum(-1))


def _coded(dictionary: Dictionary, parts: Sequence[Tensor]) -> Iterator[tuple[SparseActs, Tensor]]:
    """Active features and what they make of it, for each of some values [S, d]."""
    x_TD = torch.cat(list(parts))
    acts = dictionary.encode_sparse(x_TD)
    sizes = [len(part) for part in parts]
    code = zip(acts.indices_TK.split(sizes), acts.values_TK.split(sizes), strict=True)
    back = dictionary.reconstruct_from(acts, x_TD).split(sizes)
    return ((SparseActs(*one), back_SD) for one, back_SD in zip(code, back, strict=True))


def _site_nodes(
    site: Site,
    dictionary: Dictionary,
    coded: tuple[SparseActs, Tensor],
    x_SD: Tensor,
    gradient_SD: Tensor,
    stand_in: StandIn | None,
) -> SiteNodes:
    acts, back_SD = coded
    active_SK = acts.values_TK != 0
    row_N, slot_N = active_SK.nonzero(as_tuple=True)
    index_N, value_N = acts.indices_TK[row_N, slot_N], acts.values_TK[row_N, slot_N]
    order = torch.argsort(row_N * dictionary.n_latents + index_N)
    row_N, index_N, value_N = row_N[order], index_N[order], value_N[order]
    vector_ND = value_N[:, None] * dictionary.decoder_directions(x_SD[row_N], index_N)
    error_SD = x_SD - back_SD
    size_S = error_SD.norm(dim=-1)
    if stand_in is not None:
        other = stand_in.sites[site]
        row_N, index_N, value_N, vector_ND = other.instead(row_N, index_N, value_N, vector_ND)
        error_SD = (x_SD - other.value_SD).index_add_(0, row_N, -vector_ND)
        vector_ND[row_N < stand_in.begin] = 0
        error_SD[: stand_in.begin] = 0
    positions_S = torch.arange(len(x_SD), device=x_SD.device)
    position_N = torch.cat([row_N, positions_S])
    vector_ND = torch.cat([vector_ND, error_SD])
    return SiteNodes(
        site,
        position_N,
        torch.cat([index_N, torch.full_like(positions_S, ERROR)]),
        torch.cat([value_N, size_S]),
        vector_ND,
        -(gradient_SD[position_N] * vector_ND).sum(-1),
    )
