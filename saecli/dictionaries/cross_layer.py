"""One layer of a cross-layer transcoder: reads the MLP of layer i and writes those of the layers i, i + 1, ..., L − 1.

With π = x W_enc + b_enc and f = ReLU(π), for ``jumprelu`` f = ReLU(π) · 1[π > θ]: the part of site l is f W_dec[:, l],
at the first site also b_dec and the skip path. A site's reconstruction is the sum over all layers that write it
(:meth:`saecli.core.suite.Suite.reconstruct`).

The decoder ``W_dec_FLD`` [F, L, d_out] may stay on the disk: rows are then read from the mapped file when features are
active, and the whole is never held.
Source: Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html;
https://github.com/safety-research/circuit-tracer (``cross_layer_transcoder.py``).
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig, SparseActs
from saecli.core.errors import UsageError
from saecli.core.site import Site

ACTIVATIONS: Final = ("relu", "jumprelu")
_ROW_ELEMENTS: Final = 1 << 22  # numbers of decoder rows held at once, 16 MB


class CrossLayer(Dictionary):
    """Transcoder that writes several sites.

    Options: ``writes`` (every site written, in the order of depth; the first is ``config.writes``), ``activation``
    (``relu`` or ``jumprelu``, the latter with ``threshold_F`` [F]), ``skip``. What is [..., d_out] for other
    dictionaries is [..., L, d_out] here.
    """

    arch = "cross_layer"

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        written = config.written
        if written[0] != config.writes or list(written) != sorted(set(written)) or config.reads in written:
            raise UsageError(
                f"A cross_layer dictionary that reads {config.reads} and writes {config.writes} first cannot write "
                f"{', '.join(map(str, written))}; expected other sites, in the order of depth."
            )
        self.activation = config.options.get("activation", "relu")
        if self.activation not in ACTIVATIONS or self.normalize is not None or self.subtracts_b_dec:
            raise UsageError(
                f"A cross_layer dictionary has activation {' or '.join(ACTIVATIONS)} and takes its input as it is, "
                f"not {config.options}."
            )
        del self.W_dec_FD
        self.writes: tuple[Site, ...] = written
        self.W_dec_FLD = nn.Parameter(
            torch.empty(config.n_latents, len(written), config.d_out, device=self.b_dec_D.device)
        )
        self.threshold_F = nn.Parameter(torch.zeros(config.n_latents)) if self.activation == "jumprelu" else None
        self._stored_FLD: Tensor | None = None

    def leave_decoder_on_disk(self, stored_FLD: Tensor) -> None:
        """Use a mapped tensor [F, L, d_out], of any number type, as decoder; rows are read when they are needed."""
        expected = (self.n_latents, len(self.writes), self.config.d_out)
        if tuple(stored_FLD.shape) != expected:
            raise UsageError(f"A decoder of shape {tuple(stored_FLD.shape)} was given, expected {expected}.")
        del self.W_dec_FLD
        self._stored_FLD = stored_FLD

    def decoder_rows(self, indices_N: Tensor) -> Tensor:
        """What one unit of each feature adds to every site written: [N, L, d_out]."""
        if self._stored_FLD is not None:
            return self._stored_FLD[indices_N.cpu()].to(self.b_dec_D.device, self.b_dec_D.dtype)
        return self.W_dec_FLD[indices_N]

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """ReLU, above the threshold if there is one; every feature decides for itself."""
        if self.threshold_F is None:
            return pre.relu()
        return pre.relu() * (pre > (self.threshold_F if indices is None else self.threshold_F[indices]))

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features whose pre-activation can exceed 0 and the threshold."""
        floor = 0 if self.threshold_F is None else self.threshold_F.clamp_min(0)
        return pre_TF + bound_TF > floor

    def decode(self, acts: Tensor) -> Tensor:
        """Dense activations [..., F] → [..., L, d_out]; rows of features that are nowhere active are not read."""
        flat_TF = acts.reshape(-1, self.n_latents)
        out = flat_TF.new_zeros(len(flat_TF), len(self.writes) * self.config.d_out)
        for columns in (flat_TF != 0).any(0).nonzero()[:, 0].split(self._rows_at_once):
            out = out + flat_TF[:, columns] @ self.decoder_rows(columns).flatten(1)
        return self._with_bias(out).reshape(*acts.shape[:-1], len(self.writes), self.config.d_out)

    def decode_sparse(self, acts: SparseActs) -> Tensor:
        """Active features of T rows → [T, L, d_out]; no dense [T, F] is made."""
        rows_N, slots_N = (acts.values_TK != 0).nonzero(as_tuple=True)
        features_N, order = acts.indices_TK[rows_N, slots_N].sort(stable=True)
        rows_N, values_N = rows_N[order], acts.values_TK[rows_N, slots_N][order].to(self.b_dec_D.dtype)
        out = values_N.new_zeros(len(acts.indices_TK), len(self.writes) * self.config.d_out)
        for part in torch.arange(len(rows_N), device=out.device).split(self._rows_at_once):
            weighted = self.decoder_rows(features_N[part]).flatten(1) * values_N[part, None]
            out = out.index_add(0, rows_N[part], weighted)
        return self._with_bias(out)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Input [..., d_in] → what it adds to every site written [..., L, d_out], by the sparse path."""
        flat = x.reshape(-1, x.shape[-1])
        y = self._with_skip(self.decode_sparse(self.encode_sparse(flat)), flat)
        return y.reshape(*x.shape[:-1], len(self.writes), self.config.d_out)

    def contributions(self, x: Tensor) -> dict[Site, Tensor]:
        """Input [..., d_in] → what it adds [..., d_out] to every site it writes."""
        return dict(zip(self.writes, self.reconstruct(x).unbind(-2), strict=True))

    def decoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> Tensor:
        """What one unit of feature ``indices_N[n]`` adds to every site it writes: [N, L, d_out]."""
        return self.decoder_rows(indices_N)

    def decoder_norms(self) -> Tensor:
        """Length of what one unit of every feature writes, all sites together: [F]."""
        features_F = torch.arange(self.n_latents, device=self.b_dec_D.device)
        parts = features_F.split(self._rows_at_once)
        return torch.cat([self.decoder_rows(part).flatten(1).norm(dim=1) for part in parts])

    @property
    def _rows_at_once(self) -> int:
        return max(1, _ROW_ELEMENTS // (len(self.writes) * self.config.d_out))

    def _with_bias(self, out: Tensor) -> Tensor:
        """b_dec belongs to the first site written."""
        first, rest = out.unflatten(-1, (len(self.writes), self.config.d_out)).tensor_split([1], dim=-2)
        return torch.cat([first + self.b_dec_D, rest], dim=-2)

    def _with_skip(self, y: Tensor, x: Tensor) -> Tensor:
        if self.W_skip_DO is None:
            return y
        first, rest = y.tensor_split([1], dim=-2)
        return torch.cat([first + (x @ self.W_skip_DO).unsqueeze(-2), rest], dim=-2)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._stored_FLD is not None:
            destination[f"{prefix}W_dec_FLD"] = self._stored_FLD
