"""Controls: dictionaries that are set from a first sample and never trained, to compare trained ones with.

- ``identity``: W_enc = W_dec = 1, no biases. The features are the site's own dimensions, of either sign, and every
  vector is reconstructed exactly; how sparse or how telling they are is what a dictionary has to beat.
- ``random``: a TopK dictionary of directions drawn evenly from the unit sphere, decoder rows w_f and encoder columns
  a · w_f, with b_dec the mean of the sample and a > 0 the scale that fits it best:
  a = Σ x̂ · (x − b_dec) / Σ |x̂|² with x̂ = Σ_k v_k w_k what a = 1 writes, v = TopK((x − b_dec) · w). TopK does not mind
  the order of scale and selection.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.dictionaries import make_dictionary
from saecli.train.start import initial_weights
from saecli.train.trainer import TrainerConfig, in_plain_layout
from saecli.train.units import usual_rows

_ROWS: Final = 8192


class Control:
    """A dictionary that takes no steps.

    Args:
        config: What it is; of its settings only those of the dictionary itself count.
        device: Where.
        dtype: Of the weights.
    """

    def __init__(self, config: TrainerConfig, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.config = config
        self.dictionary = make_dictionary(config.dictionary).to(device, dtype)
        initial_weights(self.dictionary, config.own_seed)

    @torch.no_grad()
    def start(self, x_ND: Tensor) -> dict[str, float]:
        """Set the weights from a sample [N, d] in the units of the model, whose outliers are passed over.

        Returns:
            ``loss`` (mean squared error), ``variance_explained``, ``l0`` and ``dead_share`` on (some of) the sample.
        """
        made = self.dictionary
        x_SD = x_ND[usual_rows(x_ND)]
        x_SD = x_SD[:: max(1, -(-len(x_SD) // _ROWS))]
        if self.config.dictionary.arch == "identity":
            eye_DD = torch.eye(self.config.dictionary.d_in).to(made.b_dec_D)
            made.W_enc_DF.copy_(eye_DD)
            made.W_dec_FD.copy_(eye_DD)
        else:
            made.b_dec_D.copy_(x_SD.mean(0))
            left_SD = x_SD - made.b_dec_D
            written_SD = made.decode_sparse(made.encode_sparse(x_SD)) - made.b_dec_D
            size = float(written_SD.square().sum())
            made.W_enc_DF.mul_(float((written_SD * left_SD).sum()) / size if size else 1.0)
        acts = made.encode_sparse(x_SD)
        error = float((made.reconstruct_from(acts, x_SD) - x_SD).square().sum())
        variance = float((x_SD - x_SD.mean(0)).square().sum())
        active_SK = acts.values_TK != 0
        fired = len(acts.indices_TK[active_SK].unique())
        return {
            "loss": error / max(1, x_SD.numel()),
            "variance_explained": 1 - error / variance if variance else 0.0,
            "l0": float(active_SK.sum()) / max(1, len(x_SD)),
            "dead_share": 1 - fired / made.n_latents,
        }

    @torch.no_grad()
    def finished(self) -> Dictionary:
        """A copy on the CPU, without gradients."""
        return in_plain_layout(self.dictionary, self.config.dictionary).float()

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {"dictionary": self.dictionary.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.dictionary.load_state_dict(state["dictionary"])
