"""How much memory training a GPT takes at its highest: counted, not measured.

In numbers per parameter: the weight, its gradient, AdamW's two moments (or Muon's one, and what its iteration holds for
a moment), and the best weights so far with ``--keep best``. What the backward pass needs of every position: 16 vectors
of the model's width per block (its input, two norms' outputs, queries, keys and values, attention's output, the
residual between, and 8 in the MLP), 20 with DynamicTanh; and of the logits, their log-softmax, the gradients of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from saecli.core.gpt import GPTConfig
from saecli.core.machine import in_gigabytes
from saecli.train.lm_config import TrainLMConfig

_VECTORS_PER_BLOCK = {"layer": 16, "dynamic_tanh": 20}
_LOGITS_COPIES = 4
_EXPECTED_COPIES = 2
_MUON_COPIES = 5


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes of one process.

    Attributes:
        state: weights, gradients, optimiser, best weights.
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
    blocks = (
        shape.n_layer * _VECTORS_PER_BLOCK[shape.norm] * shape.d_model * (number if config.precision != "bf16" else 3)
    )
    logits = (_LOGITS_COPIES + _EXPECTED_COPIES * expected) * shape.vocab_size * number
    whole_batch = 4 * config.batch_size * shape.n_ctx * shape.vocab_size * expected
    return MemoryNeed(number * (weights + moments), positions * (blocks + logits) + whole_batch, sequences)
