"""The pruned pass of a suite.

With the residual stream before everything x₀, the frozen scale s of a module's norm and pattern P, f^u the pruned
features of upstream module u, whose decoder is W^u and bias b^u, and M the connections::

    MLP transcoder      π_j(t) = e_j · norm(x₀ + Σ_u b^u)(t)          + Σ_{u, i ∈ M_j} (ẽ_j · W^u_i) f^u_i(t) / s(t)
    attention output    π_j(q) = e_j · attention(x₀ + Σ_u b^u)(q)     + Σ_h Σ_k P_h[q, k] / s(k) Σ_{u, i ∈ M_j}
                                                                          (e_j W_O,hᵀ) · (V_hᵀ W^u_i) f^u_i(k)

plus the encoder's own bias terms; ẽ is the encoder behind the norm's gain and centring (:mod:`saecli.pruned.affine`).
Features follow from π by the dictionary's own activation function, and the module writes f W + b. Biases and the
embedding of positions are never pruned; that of tokens is where the connections name it as a module: token v is then a
feature that is 1 where it stands, and x₀ the rest of the embedding. Where the connections name the logits, logit v is
π_v = u_v · (x₀ + Σ_u b^u) / s + Σ_{u, i ∈ M_v} (u_v · W^u_i) f^u_i / s plus a constant, s the frozen scale of the final
norm and u the unembedding behind its gain, less its mean over tokens.

Where all features are connected the same is computed as what it then is: the dictionary on the reconstructed residual
stream.

Source: the sparsely connected autoencoders of https://github.com/jacobcd52/dictionary_learning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from saecli.core.connections import Connections
from saecli.core.dictionary import Dictionary, SparseActs
from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.dictionaries.topk import TopK
from saecli.pruned.affine import AffineBlock
from saecli.pruned.edges import Heads, edge_sums
from saecli.pruned.ends import logit_constant, logit_directions, token_directions
from saecli.pruned.frozen import Frozen, freeze
from saecli.pruned.measure import FvuMode, cross_entropy, fvu
from saecli.pruned.modules import check_affine, check_connections, modules_of, true_errors
from saecli.pruned.pattern import Pattern


@dataclass(frozen=True)
class PrunedRun:
    """What a pruned pass computed, by the site a module reads; part of the autograd graph when one is recorded.

    Attributes:
        written: What every module adds to the residual stream, [B, S, d]: its reconstruction, and with error nodes its
            error.
        features: Active features of the T = B·S tokens, row by row.
        preactivations: Pruned pre-activations [B, S, F], if they were asked for.
        tokens: The tokens as features, where the connections name them as a module.
        logits_BSV: Pruned logits, where the connections name them; up to a constant of every position.
    """

    written: dict[Site, Tensor]
    features: dict[Site, SparseActs]
    preactivations: dict[Site, Tensor] = field(default_factory=dict)
    tokens: SparseActs | None = None
    logits_BSV: Tensor | None = None


class PrunedSuite:
    """A suite that is computed through its own connected features.

    Args:
        model: The model; stays frozen.
        suite: Its dictionaries. Those of attn_out and from mlp_in to mlp_out are used, and trained where their
            parameters require gradients.
        connections: Which upstream features each feature is given.
        compat: As the reference computes it (``--compat scae``), for folded weights: the upstream biases reach an
            attention dictionary past the pattern, over the scale of the position that attends; those of modules without
            an entry in the connections are left out; nothing is centred; FVU is of mode ``scae``.
        centre: Subtract the mean that a LayerNorm subtracts. False, for folded weights, takes it to be zero.
        errors: Add what each dictionary leaves unexplained of the true model, frozen token by token: with all
            connections the pass is then the model.

    Attributes:
        modules: The modules with dictionaries, in the order of computation.
        ends: Of the embedding of tokens and the logits those that the connections name.
        dictionaries: Their dictionaries, by the site read.
        patterns: The connections of every module, as CSR; empty where all features are connected.
        gates: Module → factor on each of its pattern's connections [E], if any; set by who learns them.

    Raises:
        InputError: The suite lacks a module, has one that is not linear before its activation function, belongs to
            another model or to weights of other processing; the connections belong to another suite; the model's blocks
            are not affine with fixed scales and patterns.
        UsageError: ``compat`` or no centring with raw weights.
    """

    def __init__(
        self,
        model: HookedModel,
        suite: Suite,
        connections: Connections,
        *,
        compat: bool = False,
        centre: bool = True,
        errors: bool = False,
    ) -> None:
        info = model.info
        if info.processing != "folded" and (compat or not centre):
            what = "--compat scae" if compat else "A pass without centring"
            raise UsageError(
                f"{what} needs folded weights, and {info.name} has {info.processing} ones.",
                "Fold the model and use a suite that was trained on it.",
            )
        self.model, self.connections, self.compat, self.errors = model, connections, compat, errors
        self.modules = modules_of(suite, info.n_layers)
        suite.attach(model)
        check_connections(suite, self.modules, connections, info)
        self.dictionaries: dict[Site, Dictionary] = {module.reads: suite[module.reads] for module in self.modules}
        exact = {layer: AffineBlock.of(model.block(layer)) for layer in range(info.n_layers)}
        check_affine(model, self.modules, exact)
        self.affine = exact
        if compat or not centre:
            self.affine = {layer: AffineBlock.of(model.block(layer), centre=False) for layer in exact}
        self.ends = {module.what: module for module in connections.modules if module.what != "features"}
        self._tokens_VD = token_directions(model) if "tokens" in self.ends else None
        self._logits_VD = logit_directions(model) if "logits" in self.ends else None
        self._constant_V = logit_constant(model) if "logits" in self.ends else None
        self.gates: dict[Site, Tensor] = {}
        self.patterns: dict[Site, Pattern] = {}
        if connections.rule != "all":
            device = next(model.module.parameters()).device
            downs = [*self.modules, *self.ends.values()]
            self.patterns = {down.reads: Pattern.of(connections, down.reads, device) for down in downs}

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of all dictionaries."""
        for dictionary in self.dictionaries.values():
            yield from dictionary.parameters()

    def freeze(self, tokens_BS: Tensor) -> Frozen:
        """What the pass needs of the true model on these tokens."""
        return freeze(self.model, [*self.modules, *self.ends.values()], tokens_BS)

    def run(self, frozen: Frozen, *, keep_preactivations: bool = False) -> PrunedRun:
        """The pruned pass.

        Args:
            frozen: Of :meth:`freeze`.
            keep_preactivations: Return them too.
        """
        tokens_T1 = frozen.tokens_BS.reshape(-1, 1)
        tokens = SparseActs(tokens_T1, torch.ones_like(tokens_T1, dtype=frozen.embedded_BSD.dtype))
        run = PrunedRun({}, {}, tokens=tokens if "tokens" in self.ends else None)
        errors = true_errors(self.dictionaries, frozen) if self.errors else {}
        for module in self.modules:
            here = module.reads
            pre_BSF = self._preactivations(here, frozen, run, errors)
            dictionary = self.dictionaries[here]
            acts = _active(dictionary, pre_BSF.flatten(0, 1))
            written = dictionary.decode_sparse(acts).view(*frozen.shape, -1)
            run.features[here] = acts
            run.written[here] = written + errors[here] if here in errors else written
            if keep_preactivations:
                run.preactivations[here] = pre_BSF
        if self._logits_VD is not None and self._constant_V is not None:
            end = self.ends["logits"].reads
            stream_BSD = _total(*self._base(end, frozen, run, errors))
            logits_BSV = stream_BSD @ self._logits_VD.T / frozen.scales[end] + self._constant_V
            run = replace(run, logits_BSV=logits_BSV + self._through(end, frozen, run))
        return run

    def dense_features(self, site: Site, run: PrunedRun) -> Tensor:
        """Activations of one module as [T, F]."""
        acts, decoder_FD = self._source(site, run)
        dense_TF = acts.values_TK.new_zeros(len(acts.values_TK), len(decoder_FD))
        return dense_TF.scatter_add(1, acts.indices_TK, acts.values_TK)

    def residual(self, frozen: Frozen, run: PrunedRun) -> Tensor:
        """The reconstructed final residual stream [B, S, d]: the embedding and all that was written."""
        return frozen.embedded_BSD + torch.stack(list(run.written.values())).sum(0)

    def logits(self, frozen: Frozen, run: PrunedRun) -> Tensor:
        """Logits [B, S, V]; where they are not pruned the final norm is computed anew, on the reconstructed stream."""
        if run.logits_BSV is not None:
            return run.logits_BSV
        return self.model.unembed(self.residual(frozen, run))

    def ce(self, frozen: Frozen, run: PrunedRun) -> Tensor:
        """Cross-entropy of the next token, see :func:`saecli.pruned.measure.cross_entropy`."""
        return cross_entropy(self.logits(frozen, run), frozen.tokens_BS)

    def fvu(self, frozen: Frozen, run: PrunedRun, mode: FvuMode | None = None) -> dict[Site, Tensor]:
        """Fraction of variance unexplained per module; ``mode`` is ``pooled``, with ``compat`` ``scae``."""
        chosen: FvuMode = mode or ("scae" if self.compat else "pooled")
        return {site: fvu(frozen.targets[site], found, chosen) for site, found in run.written.items()}

    # ------------------------------------------------------------------------------------------------------------------

    def _upstream(self, here: Site) -> list[Site]:
        """Modules with dictionaries before another one or before the logits."""
        parallel = self.model.info.parallel
        down = next(module for module in (*self.modules, *self.ends.values()) if module.reads == here)
        return [up.reads for up in self.modules if up.is_upstream_of(down, parallel=parallel)]

    def _base(
        self, here: Site, frozen: Frozen, run: PrunedRun, errors: dict[Site, Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The residual stream that all features of a module share, as a sum: the first, and what is added."""
        upstream = self._upstream(here)
        if not self.patterns:
            return frozen.embedded_BSD, [run.written[up] for up in upstream]
        start_BSD = frozen.embedded_BSD
        if self._tokens_VD is not None:
            start_BSD = start_BSD - self._tokens_VD[frozen.tokens_BS]
        return start_BSD, [*self._biases(here), *(errors[up] for up in upstream if up in errors)]

    def _biases(self, here: Site) -> list[Tensor]:
        """Upstream biases that reach a module."""
        upstream = self._upstream(here)
        if self.compat and self.patterns:
            upstream = [up for up in upstream if (here, up) in self.connections.rows]
        return [self.dictionaries[up].b_dec_D for up in upstream]

    def _preactivations(self, here: Site, frozen: Frozen, run: PrunedRun, errors: dict[Site, Tensor]) -> Tensor:
        """[B, S, F]."""
        dictionary, block = self.dictionaries[here], self.affine[here.layer]
        stream_BSD = _total(*self._base(here, frozen, run, errors))
        if here.kind == "mlp_in":
            read = block.ln2(stream_BSD, frozen.scales[here])
        elif self.compat:
            bias_D = _total(torch.zeros_like(dictionary.b_dec_D), self._biases(here))
            read = block.attention(stream_BSD - bias_D, frozen.mixes[here.layer])
            read = read + block.unmixed(bias_D) / frozen.scales[here]
        else:
            read = block.attention(stream_BSD, frozen.mixes[here.layer])
        return dictionary.preactivations(read) + self._through(here, frozen, run)

    def _through(self, here: Site, frozen: Frozen, run: PrunedRun) -> Tensor | float:
        """What the connected features give: [B, S, F]; 0 where none are listed."""
        pattern = self.patterns.get(here)
        if pattern is None or not pattern.n_edges:
            return 0.0
        sources = [self._source(up, run) for up in pattern.sources]
        values_TK = torch.cat([acts.values_TK for acts, _ in sources], 1)
        first, indices = 0, []
        for (acts, _), width in zip(sources, pattern.widths, strict=True):
            indices.append(acts.indices_TK + first)
            first += width
        heads = None
        if here.kind == "attn_out":
            block = self.affine[here.layer]
            left_HFE = torch.einsum("hed,df->hfe", block.outputs_HED, self.dictionaries[here].W_enc_DF)
            heads = Heads(block.values_HDE, frozen.mixes[here.layer])
        elif here.kind == "mlp_in":
            left_HFE = self.affine[here.layer].ln2.into(self.dictionaries[here].W_enc_DF).T[None]
        else:
            left_HFE = self._logits_VD[None]  # pyright: ignore[reportOptionalSubscript]
        decoders = [decoder_FD for _, decoder_FD in sources]
        sums_TF = edge_sums(pattern, torch.cat(indices, 1), values_TK, left_HFE, decoders, heads, self.gates.get(here))
        sums_BSF = sums_TF.view(*frozen.shape, -1)
        return sums_BSF / frozen.scales[here] if heads is None else sums_BSF

    def _source(self, site: Site, run: PrunedRun) -> tuple[SparseActs, Tensor]:
        """Active features of an upstream module and what each writes."""
        if site in self.dictionaries:
            return run.features[site], self.dictionaries[site].W_dec_FD
        if run.tokens is None or self._tokens_VD is None:
            raise KeyError(site)
        return run.tokens, self._tokens_VD


def _active(dictionary: Dictionary, pre_TF: Tensor) -> SparseActs:
    """The active features of every row, by the dictionary's own activation function."""
    if isinstance(dictionary, TopK):
        values_TK, indices_TK = dictionary.select(pre_TF)
        return SparseActs(indices_TK, values_TK)
    acts_TF = dictionary.activate(pre_TF)
    most = int((acts_TF != 0).sum(-1).max()) if len(acts_TF) else 0
    indices_TK = acts_TF.detach().abs().topk(most, dim=-1).indices
    return SparseActs(indices_TK, acts_TF.gather(-1, indices_TK))


def _total(first: Tensor, rest: Sequence[Tensor]) -> Tensor:
    for one in rest:
        first = first + one
    return first
