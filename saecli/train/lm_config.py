"""Configuration of ``saecli train lm``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.config import option
from saecli.core.errors import UsageError
from saecli.data.flags import DATA_HELP, DATA_METAVAR, PackMixin
from saecli.data.names import data_inputs
from saecli.learning.loop_config import LoopMixin
from saecli.train.joint_config import JointMixin


@dataclass(frozen=True, kw_only=True)
class TrainLMConfig(JointMixin, PackMixin, LoopMixin):
    """A small GPT and how it is trained; the template othello-mini has the embedded model's recipe."""

    command: ClassVar[str] = "train lm"

    data: str = option(
        "othello",
        help=f"What to train on: {DATA_HELP}",
        metavar=DATA_METAVAR,
        complete="files",
        panel="Data",
    )
    tokenizer: str = option(
        "ascii",
        help="Vocabulary of text that is no token shards yet: ascii, gpt2, chess, othello, or a folder with "
        "tokenizer.json.",
        panel="Data",
    )
    n_ctx: int = option(
        0,
        help="Positions per sequence; 0 for the data's own: 59 for Othello, 256 for chess, 128 for text.",
        minimum=0,
        panel="Data",
    )
    batch_size: int = option(64, help="Sequences (games) per step.", minimum=1, panel="Data")
    micro_batch: int = option(
        0,
        help="Sequences computed at a time, their gradients added up; 0 for all of a step. Fewer take less memory; the "
        "step stays the same but for rounding.",
        minimum=0,
        panel="Data",
    )
    targets: str = option(
        "auto",
        help="Learn from the sampled next token, or from its distribution where the data's generator knows it (auto).",
        choices=("auto", "sampled", "expected"),
        panel="Data",
    )

    n_layer: int = option(8, help="Number of blocks.", minimum=1, panel="Model")
    n_head: int = option(4, help="Attention heads per block.", minimum=1, panel="Model")
    d_model: int = option(128, help="Width of the residual stream.", minimum=1, panel="Model")
    norm: str = option(
        "layernorm",
        help="What stands before the MLPs: LayerNorm, or DynamicTanh, weight * tanh(alpha * x) + bias.",
        choices=("layernorm", "dynamic-tanh"),
        panel="Model",
    )
    tanh_alpha: float = option(0.5, help="First value of DynamicTanh's alpha.", panel="Model")

    steps: int = option(4000, help="Optimiser steps.", minimum=1, panel="Training")
    optimizer: str = option(
        "muon",
        help="Muon on the matrices inside blocks and AdamW on the rest, or AdamW on everything.",
        choices=("muon", "adamw"),
        panel="Training",
    )
    lr: float = option(1.5e-3, help="Highest learning rate of AdamW.", minimum=0.0, panel="Training")
    muon_lr: float = option(0.02, help="Highest learning rate of Muon.", minimum=0.0, panel="Training")
    warmup: int = option(100, help="Steps of linear warm-up.", minimum=0, panel="Training")
    schedule: str = option(
        "cosine",
        help="After the warm-up: half a cosine down to --min-lr, or constant.",
        choices=("cosine", "constant"),
        panel="Training",
    )
    min_lr: float = option(
        0.0, help="Learning rate at the cosine's end; Muon's falls by the same factor.", minimum=0.0, panel="Training"
    )
    weight_decay: float = option(
        0.0, help="Decoupled weight decay of the matrices, embeddings included.", minimum=0.0, panel="Training"
    )
    grad_clip: float = option(1.0, help="Largest norm of the gradient; 0 for no limit.", minimum=0.0, panel="Training")
    device: str = option("cpu", help="Where to train.", choices=("cpu", "cuda", "mps"), panel="Training")
    precision: str = option(
        "fp32",
        help="bf16 is autocast with attention in fp32; it pays on hardware with bf16 units only.",
        choices=("fp32", "bf16", "fp64"),
        panel="Training",
    )

    keep: str = option(
        "last",
        help="The weights to keep: those of the last step, or those with the lowest cross-entropy on held-out data "
        "(measured every --eval-every steps; of equal ones the earlier).",
        choices=("last", "best"),
        panel="Training",
    )
    save_dtype: str = option(
        "float32",
        help="Number type of the stored model.",
        choices=("float32", "float16", "bfloat16"),
        panel="Training",
    )

    eval_every: int = option(500, help="Steps between measurements on held-out data.", minimum=1, panel="Measurement")
    held_out: int = option(500, help="Held-out sequences to measure on.", minimum=1, panel="Measurement")

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The data by content: of shards the list that has the sha256 of each, of text its files."""
        return data_inputs(self.data)

    def validate(self) -> None:
        """Refuses values that do not go together."""
        if self.d_model % self.n_head:
            raise UsageError(f"--d-model {self.d_model} is not a multiple of --n-head {self.n_head}.")
        if self.norm == "layernorm" and self.tanh_alpha != TrainLMConfig.tanh_alpha:
            raise UsageError(f"--tanh-alpha {self.tanh_alpha:g} is for --norm dynamic-tanh.")
        if self.min_lr > self.lr:
            raise UsageError(f"--min-lr {self.min_lr:g} is more than --lr {self.lr:g}.")
        if self.min_lr and self.schedule == "constant":
            raise UsageError(f"--min-lr {self.min_lr:g} is for --schedule cosine.")
        self.check_dictionaries(self.n_layer, self.micro_batch)
