"""The pruned pass of a suite.

With the residual stream before everything x₀, the frozen scale s of a module's norm and pattern P, f^u the pruned
features of upstream module u, whose decoder is W^u and bias b^u, and M the connections::

    MLP transcoder      π_j(t) = e_j · norm(x₀ + Σ_u b^u)(t)          + Σ_{u, i ∈ M_j} (ẽ_j · W^u_i) f^u_i(t) / s(t)
    attention output    π_j(q) = e_j · attention(x₀ + Σ_u b^u)(q)     + Σ_h Σ_k P_h[q, k] / s(k) Σ_{u, i ∈ M_j}
                                                                          (e_j W_O,hᵀ) · (V_hᵀ W^u_i) f^u_i(k)

plus the encoder's own bias terms; ẽ is the encoder behind the norm's gain and centring (:mod:`saecli.pruned.affine`).
Features follow from π by the dictionary's own activation function, and the module writes f W + b. The embedding and all
biases are never pruned. Where all features are connected the same is computed as what it then is: the dictionary on the
reconstructed residual stream.

Source: the sparsely connected autoencoders of https://github.com/jacobcd52/dictionary_learning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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
    """

    written: dict[Site, Tensor]
    features: dict[Site, SparseActs]
    preactivations: dict[Site, Tensor] = field(default_factory=dict)


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
        modules: The modules, in the order of computation.
        dictionaries: Their dictionaries, by the site read.
        patterns: The connections of every module, as CSR; empty where all features are connected.

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
        check_connections(suite, self.modules, connections, parallel=info.parallel)
        self.dictionaries: dict[Site, Dictionary] = {module.reads: suite[module.reads] for module in self.modules}
        exact = {layer: AffineBlock.of(model.block(layer)) for layer in range(info.n_layers)}
        check_affine(model, self.modules, exact)
        self.affine = exact
        if compat or not centre:
            self.affine = {layer: AffineBlock.of(model.block(layer), centre=False) for layer in exact}
        self.patterns: dict[Site, Pattern] = {}
        if connections.rule != "all":
            device = next(model.module.parameters()).device
            self.patterns = {down.reads: Pattern.of(connections, down.reads, device) for down in self.modules}

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of all dictionaries."""
        for dictionary in self.dictionaries.values():
            yield from dictionary.parameters()

    def freeze(self, tokens_BS: Tensor) -> Frozen:
        """What the pass needs of the true model on these tokens."""
        return freeze(self.model, self.modules, tokens_BS)

    def run(self, frozen: Frozen, *, keep_preactivations: bool = False) -> PrunedRun:
        """The pruned pass.

        Args:
            frozen: Of :meth:`freeze`.
            keep_preactivations: Return them too.
        """
        run = PrunedRun({}, {})
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
        return run

    def dense_features(self, site: Site, run: PrunedRun) -> Tensor:
        """Activations of one module as [T, F]."""
        acts = run.features[site]
        dense_TF = acts.values_TK.new_zeros(len(acts.values_TK), self.dictionaries[site].n_latents)
        return dense_TF.scatter_add(1, acts.indices_TK, acts.values_TK)

    def residual(self, frozen: Frozen, run: PrunedRun) -> Tensor:
        """The reconstructed final residual stream [B, S, d]: the embedding and all that was written."""
        return frozen.embedded_BSD + torch.stack(list(run.written.values())).sum(0)

    def logits(self, frozen: Frozen, run: PrunedRun) -> Tensor:
        """Logits [B, S, V]; the final norm is computed anew, on the reconstructed stream."""
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
        parallel = self.model.info.parallel
        down = next(module for module in self.modules if module.reads == here)
        return [up.reads for up in self.modules if up.is_upstream_of(down, parallel=parallel)]

    def _preactivations(self, here: Site, frozen: Frozen, run: PrunedRun, errors: dict[Site, Tensor]) -> Tensor:
        """[B, S, F]."""
        dictionary, block, upstream = self.dictionaries[here], self.affine[here.layer], self._upstream(here)
        if not self.patterns:
            parts = [run.written[up] for up in upstream]
            biases = [self.dictionaries[up].b_dec_D for up in upstream]
        else:
            kept = [up for up in upstream if (here, up) in self.connections.rows] if self.compat else upstream
            biases = [self.dictionaries[up].b_dec_D for up in kept]
            parts = [*biases, *(errors[up] for up in upstream if up in errors)]
        if here.kind == "mlp_in":
            read = block.ln2(_total(frozen.embedded_BSD, parts), frozen.scales[here])
        elif self.compat:
            bias_D = _total(torch.zeros_like(dictionary.b_dec_D), biases)
            without = _total(frozen.embedded_BSD, parts) - bias_D
            read = block.attention(without, frozen.mixes[here.layer])
            read = read + block.unmixed(bias_D) / frozen.scales[here]
        else:
            read = block.attention(_total(frozen.embedded_BSD, parts), frozen.mixes[here.layer])
        pre_BSF = dictionary.preactivations(read)
        pattern = self.patterns.get(here)
        if pattern is None or not pattern.n_edges:
            return pre_BSF
        return pre_BSF + self._through(here, pattern, frozen, run)

    def _through(self, here: Site, pattern: Pattern, frozen: Frozen, run: PrunedRun) -> Tensor:
        """What the connected features give: [B, S, F]."""
        block, encoder_DF = self.affine[here.layer], self.dictionaries[here].W_enc_DF
        decoders = [self.dictionaries[up].W_dec_FD for up in pattern.sources]
        values_TK = torch.cat([run.features[up].values_TK for up in pattern.sources], 1)
        first, indices = 0, []
        for up, width in zip(pattern.sources, pattern.widths, strict=True):
            indices.append(run.features[up].indices_TK + first)
            first += width
        indices_TK = torch.cat(indices, 1)
        if here.kind == "mlp_in":
            left_HFE, heads = block.ln2.into(encoder_DF).T[None], None
        else:
            left_HFE = torch.einsum("hed,df->hfe", block.outputs_HED, encoder_DF)
            heads = Heads(block.values_HDE, frozen.mixes[here.layer])
        sums_BSF = edge_sums(pattern, indices_TK, values_TK, left_HFE, decoders, heads).view(*frozen.shape, -1)
        return sums_BSF / frozen.scales[here] if heads is None else sums_BSF


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
