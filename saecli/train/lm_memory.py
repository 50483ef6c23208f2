"""How much memory training a GPT takes at its highest: counted before it starts.

Per parameter: the weight, its gradient, AdamW's two moments (or Muon's one, and what its iteration holds for a moment),
and the best weights so far with ``--keep best``. Per position and block, what the backward pass needs and what is made
on the way: 20 vectors of the model's width (inputs and outputs of the norms, queries, keys and values, attention's
output, the residual stream, and 8 in the MLP), 25 with DynamicTanh. Of the logits: themselves, their log-softmax, the
gradients of both. Peaks that were measured on a CPU lie within a fifth of this.

Of dictionaries that are trained along (``--sae``): per parameter as with AdamW; per position what of each one's codes
waits for the backward pass, vectors of its latents by architecture, and four more of the one that is at work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from saecli.core.gpt import GPTConfig
from saecli.core.machine import in_gigabytes
from saecli.train.lm_config import TrainLMConfig

_VECTORS_PER_BLOCK = {"layer": 20, "dynamic_tanh": 25}
_BYTES = {"fp64": 8.0, "fp32": 4.0, "bf16": 3.5}
"""Of a number of a block's, on average over what is kept for the backward pass."""
_LOGITS_COPIES = 4
_MUON_COPIES = 5
_CODES_KEPT = {"topk": 0, "standard": 1, "gated": 4, "jumprelu": 2}
_CODES_PASSING = 4
_READ_COPIES = 4


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes of one process.

    Attributes:
        state: weights, gradients, optimiser, best weights, of the model and its dictionaries.
        activations: what the backward pass needs of the sequences computed together, blocks and logits.
        sequences: how many these are.
    """

    state: int
    activations: int
    sequences: int

    @property
    def total(self) -> int:
        return self.state + self.activations

    def __str__(self) -> str:
        return (
            f"{in_gigabytes(self.state)} of weights and optimiser, {in_gigabytes(self.activations)} of activations of "
            f"{self.sequences} sequences"
        )


def memory_need(config: TrainLMConfig, shape: GPTConfig, processes: int = 1, expected: bool = False) -> MemoryNeed:
    """What one of some processes takes.

    Args:
        config: the recipe.
        shape: the model.
        processes: how many share a batch.
        expected: whether the data gives the distribution of the next token.
    """
    number = 8 if config.precision == "fp64" else 4
    block = 12 * shape.d_model**2
    matrices = shape.n_layer * block if config.optimizer == "muon" else 0
    moments = 2 * (shape.n_parameters - matrices) + (1 + _MUON_COPIES) * matrices
    weights = (2 + (config.keep == "best")) * shape.n_parameters
    part = math.ceil(config.batch_size / processes)
    sequences = min(part, config.micro_batch or part)
    positions = sequences * shape.n_ctx
    blocks = shape.n_layer * _VECTORS_PER_BLOCK[shape.norm] * shape.d_model * _BYTES[config.precision]
    logits = _LOGITS_COPIES * shape.vocab_size * number
    whole_batch = 4 * config.batch_size * shape.n_ctx * shape.vocab_size * expected
    state, codes = _of_dictionaries(config, shape)
    activations = positions * (blocks + logits + number * codes)
    return MemoryNeed(number * (weights + moments + state), int(activations) + whole_batch, sequences)


def _of_dictionaries(config: TrainLMConfig, shape: GPTConfig) -> tuple[int, int]:
    """Numbers kept for the dictionaries, and numbers per position."""
    if config.sae is None:
        return 0, 0
    latents = config.sae_latents
    widths = [shape.mlp_width if one.kind == "mlp_post" else shape.d_model for one in config.sae_sites(config.n_layer)]
    parameters = sum(2 * latents * width + 3 * latents + width for width in widths)
    codes = (len(widths) * _CODES_KEPT[config.sae] + _CODES_PASSING) * latents + _READ_COPIES * sum(widths)
    return (4 + (config.keep == "best")) * parameters, codes
