"""Configuration of ``saecli train sae``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.config import CommandConfig, SitesMixin, argument, option, parse_bytes
from saecli.core.errors import UsageError
from saecli.data.flags import DATA_HELP, DATA_METAVAR, PackMixin
from saecli.data.names import data_inputs
from saecli.learning.loop_config import LoopMixin
from saecli.train.recipes import (
    ARCHS,
    B_DEC_INITS,
    DECODER_NORMS,
    END_TO_END,
    GROUPS,
    INITS,
    JACOBIAN,
    JACOBIAN_AT,
    L0_LOSSES,
    LOSSES,
    REDUCTIONS,
    SHARING,
    STAIRS,
)

VECTORS_SITE: Final = "0.resid_pre"
DROPPED: Final = ("bos", "eos", "pad", "special")
"""Names that ``--drop`` has for tokens."""
PRECISIONS: Final = {"fp32": "float32", "fp64": "float64", "bf16": "float32", "bf16-screen": "float32"}


@dataclass(frozen=True, kw_only=True)
class SaeTable(CommandConfig):
    """One ``[[sae]]`` table: dictionaries of one architecture at some sites.

    Every value of k, sparsity_weight or target_l0, whichever sets the sparsity of the architecture, every width and
    every jacobian_coefficient makes a suite of its own.
    """

    name: str = option("", help="First part of the names of its suites, if there are several.")
    kind: tuple[str, ...] = option(("resid_pre",), help="Site kinds; mlp_in>mlp_out is a transcoder.")
    layers: str = option(":", help="Layers of those kinds, as a Python slice: 0..n for resid_pre, else block numbers.")
    arch: str = option("topk", help="Architecture.", choices=ARCHS)
    k: tuple[int, ...] = option(
        (32,),
        help="Active features per token (topk, random; on average: batchtopk, matryoshka); several values train "
        "several suites.",
        minimum=1,
    )
    latents: tuple[int, ...] = option((1024,), help="Features per dictionary; several train several suites.", minimum=1)
    sparsity_weight: tuple[float, ...] = option(
        (1.0,), help="Weight of the sparsity penalty (standard, gated, jumprelu).", minimum=0.0
    )
    target_l0: tuple[float, ...] = option(
        (32.0,), help="Active features per token that are aimed at (jumprelu).", minimum=0.0
    )
    sparsity_p: float = option(
        1.0, help="Last exponent of an annealed penalty (standard, gated); 1 for none.", minimum=0.05, maximum=1.0
    )
    l0_loss: str = option(
        "target", help="Penalty on active features (jumprelu); sparsity_weight sweeps l0 and tanh.", choices=L0_LOSSES
    )
    groups: str = option(GROUPS, help="Shares of the latents that the nested groups have (matryoshka).")
    widths: str = option("", help="Features of every dictionary of a staircase, in order of depth: 8x,16x or 512,1024.")
    sharing: str = option("weights", help="What the dictionaries of a staircase have in common.", choices=SHARING)
    stairs: str = option("sites", help="A staircase over all sites, or one in every block.", choices=STAIRS)
    tied: bool = option(False, help="The encoder is the decoder, transposed (standard, gated).")
    jacobian_coefficient: tuple[str, ...] = option(
        ("1",),
        help="Weight of the Jacobian penalty (jacobian), or one for every layer as in 0.3,1,3; several train several "
        "suites.",
    )
    jacobian_reduction: str = option("mean", help="Of the penalty over tokens (jacobian).", choices=REDUCTIONS)
    jacobian_tokens: str = option("1", help="Share of the tokens that the penalty is computed of (jacobian): 1/8.")
    jacobian_at: str = option("clean", help="Where the model's slopes are taken (jacobian).", choices=JACOBIAN_AT)
    skip: bool = option(False, help="A linear path from input to output beside the features (transcoders).")
    decoder_norm: str | None = option(
        None, help="Decoder rows of norm 1 (unit) or of any (free), if not the command's.", choices=DECODER_NORMS
    )
    lr: float | None = option(None, help="Highest learning rate, if not the command's.", minimum=0.0)


@dataclass(frozen=True, kw_only=True)
class TrainSaeConfig(PackMixin, LoopMixin, SitesMixin):
    """Sparse autoencoders at many sites of a model, trained in one pass of the model."""

    command: ClassVar[str] = "train sae"

    model: str = argument("othello-mini", help="Model to read: a name of the zoo or a folder.", complete="models")

    kind: tuple[str, ...] = option(
        (),
        help="Site kinds; if not given resid_pre, of jacobian mlp_in and mlp_out. mlp_in>mlp_out is a transcoder. "
        "Repeatable.",
        metavar="KIND",
        complete="kinds",
        panel="Sites",
    )
    sae: tuple[SaeTable, ...] = option(
        (),
        help="Dictionaries of different shapes; replaces the other flags of this panel, --layers and --kind.",
        table=SaeTable,
    )
    arch: str = option(
        "topk",
        help="Architecture. identity and random are untrained controls: the site's own dimensions, and random "
        "directions with TopK. jacobian is a pair of TopK dictionaries at the two ends of an MLP, trained for few and "
        "small derivatives between their features. A staircase (of TopK or JumpReLU) gets wider from site to site.",
        choices=ARCHS,
        complete="archs",
        panel="Dictionaries",
    )
    k: tuple[int, ...] = option(
        (32,),
        help="Active features per token (topk, random; on average: batchtopk, matryoshka). Repeatable: each value "
        "trains a suite.",
        minimum=1,
        panel="Dictionaries",
    )
    latents: tuple[int, ...] = option(
        (1024,), help="Features per dictionary. Repeatable.", minimum=1, panel="Dictionaries"
    )
    sparsity_weight: tuple[float, ...] = option(
        (1.0,),
        help="Weight of the sparsity penalty (standard, gated, jumprelu). Repeatable.",
        minimum=0.0,
        panel="Dictionaries",
    )
    target_l0: tuple[float, ...] = option(
        (32.0,),
        help="Active features per token that are aimed at (jumprelu). Repeatable.",
        minimum=0.0,
        panel="Dictionaries",
    )
    sparsity_p: float = option(
        1.0,
        help="Exponent to which the penalty falls in steps, from 1 (standard, gated): p-annealing, 0.2 is usual.",
        minimum=0.05,
        maximum=1.0,
        panel="Dictionaries",
    )
    l0_loss: str = option(
        "target",
        help="Penalty on active features (jumprelu): target, (L0 / --target-l0 - 1) squared; l0, their number; tanh of "
        "their size. The last two are swept by --sparsity-weight, and --target-l0 is what thresholds begin at.",
        choices=L0_LOSSES,
        panel="Dictionaries",
    )
    groups: str = option(
        GROUPS,
        help="Shares of the latents that the nested groups have, the most general first (matryoshka).",
        metavar="SHARES",
        panel="Dictionaries",
    )
    widths: str = option(
        "",
        help="Features of every dictionary of a staircase in order of depth, as numbers or as multiples of the site's "
        "width (8x,16x,24x); if not given, --latents times 1, 2, 3 and so on.",
        metavar="LIST",
        panel="Dictionaries",
    )
    sharing: str = option(
        "weights",
        help="What the dictionaries of a staircase have in common: weights, the first rows of one encoder and decoder; "
        "detached, those too, each row trained by the first dictionary that has it; b-dec, the decoder's bias as "
        "well; none.",
        choices=SHARING,
        panel="Dictionaries",
    )
    stairs: str = option(
        "sites",
        help="One staircase over all sites, or one in every block (--kind resid_mid --kind resid_post).",
        choices=STAIRS,
        panel="Dictionaries",
    )
    tied: bool = option(False, help="The encoder is the decoder, transposed (standard, gated).", panel="Dictionaries")
    jacobian_coefficient: tuple[str, ...] = option(
        ("1",),
        help="Weight of the Jacobian penalty (jacobian): one number, or one for every layer as in 0.3,1,3. Repeatable.",
        metavar="LIST",
        panel="Dictionaries",
    )
    jacobian_reduction: str = option(
        "mean",
        help="What the penalty is over the tokens of a batch (jacobian); sum makes the weight depend on --batch.",
        choices=REDUCTIONS,
        panel="Dictionaries",
    )
    jacobian_tokens: str = option(
        "1",
        help="Share of the tokens that the penalty is computed of (jacobian), other ones in every step: 1/8 takes one "
        "in eight and counts it eight times.",
        metavar="SHARE",
        panel="Dictionaries",
    )
    jacobian_at: str = option(
        "clean",
        help="Where the slopes of the model within the penalty are taken (jacobian): its own activations, or what the "
        "first dictionary makes of them.",
        choices=JACOBIAN_AT,
        panel="Dictionaries",
    )
    skip: bool = option(
        False,
        help="Learn a linear path from input to output beside the features (transcoders).",
        panel="Dictionaries",
    )
    decoder_norm: str | None = option(
        None,
        help="Decoder rows are kept at norm 1 (unit) or not (free); if not given, free for standard, else unit.",
        choices=DECODER_NORMS,
        panel="Dictionaries",
    )

    processing: str = option(
        "raw",
        help="Weights of the model as they are, or folded as TransformerLens does.",
        choices=("raw", "folded"),
        panel="Data",
    )
    data: str = option(
        "",
        help=f"What the model reads; if not given, what the zoo names for it: {DATA_HELP}",
        metavar=DATA_METAVAR,
        complete="files",
        panel="Data",
    )
    context: int = option(
        0, help="Positions per sequence; 0 for the data's own, at most the model's.", minimum=0, panel="Data"
    )
    drop: tuple[str, ...] = option(
        ("bos",),
        help="Leave out the vectors of these tokens: bos (of sequences that begin with it), eos, pad, special (each of "
        "them that there is), none, or the number of a token. Repeatable.",
        metavar="TOKEN",
        panel="Data",
    )
    cache_activations: str | None = option(
        None,
        help="Keep the model's activations on disk for later runs on the same data, in so much room at most: 20G.",
        metavar="SIZE",
        fingerprint=False,
        panel="Data",
    )
    activations: tuple[str, ...] = option(
        (),
        help="Vectors of one's own instead of a model's: .npy arrays [rows, width] or safetensors. Repeatable.",
        metavar="FILE",
        complete="files",
        input=True,
        panel="Data",
    )
    site: str | None = option(
        None,
        help=f"Site that the vectors of --activations are from; {VECTORS_SITE} if not given.",
        metavar="SITE",
        panel="Data",
    )
    tokens: int = option(8_000_000, help="Vectors per dictionary in all.", minimum=1, panel="Data")
    batch: int = option(2048, help="Vectors per step, nearly.", minimum=1, panel="Data")
    buffer: int = option(65536, help="Vectors per site that are mixed with each other.", minimum=1, panel="Data")
    sequences: int = option(64, help="Sequences (games) per forward pass of the model.", minimum=1, panel="Data")

    loss: str = option(
        "reconstruction",
        help="What a dictionary is trained for: reconstruction, vectors like those there are; end-to-end, that with "
        "its reconstruction in their place the model predicts the same and later sites have the same. That runs the "
        "model from every site in every step, on whole sequences as they come (no --buffer).",
        choices=LOSSES,
        panel="Training",
    )
    downstream_weight: float = option(
        1.0,
        help="Weight of the squared error at later sites of the suite, as a share of their variance, beside the "
        "divergence of predictions in nats (--loss end-to-end).",
        minimum=0.0,
        panel="Training",
    )
    lr: float | None = option(
        None,
        help="Highest learning rate; if not given, 1e-3 times the root of 2^14 over the latents.",
        minimum=0.0,
        panel="Training",
    )
    beta1: float = option(
        0.9,
        help="Decay of Adam's running mean of gradients (of their squares: 0.999); 0 in some recipes for gated and "
        "jumprelu.",
        minimum=0.0,
        maximum=0.999,
        panel="Training",
    )
    warmup: float = option(
        0.02, help="Share of the tokens with a rising learning rate.", minimum=0.0, maximum=1.0, panel="Training"
    )
    decay: float = option(
        0.3,
        help="Share of the tokens, at the end, in which the learning rate falls to zero.",
        minimum=0.0,
        maximum=1.0,
        panel="Training",
    )
    sparsity_warmup: float = option(
        0.0,
        help="Share of the tokens in which the weight of the penalty rises from 0 (standard, gated, jumprelu).",
        minimum=0.0,
        maximum=1.0,
        panel="Training",
    )
    k_anneal: float = option(
        0.0,
        help="Share of the tokens in which the active features fall from the width to --k (topk, batchtopk, "
        "matryoshka); steps with a large k are slow.",
        minimum=0.0,
        maximum=1.0,
        panel="Training",
    )
    init: str = option(
        "auto",
        help="Directions to begin with: random; active-subspace, where the outputs vary; mlp, the neurons of the MLP "
        "that a transcoder stands for. auto is mlp where it can be, else random.",
        choices=INITS,
        panel="Training",
    )
    b_dec_init: str = option(
        "mean", help="What the decoder's bias begins as, of the outputs.", choices=B_DEC_INITS, panel="Training"
    )
    resample_every: int = option(
        0,
        help="Vectors after which dead latents begin again as badly reconstructed inputs, while the learning rate is "
        "at its highest (standard, gated); 0 for never.",
        minimum=0,
        panel="Training",
    )
    grad_clip: float = option(
        1.0, help="Largest gradient norm of a dictionary; 0 for no limit.", minimum=0.0, panel="Training"
    )
    dead_after: int = option(
        500_000, help="Vectors without firing after which a latent is dead.", minimum=1, panel="Training"
    )
    aux_k: int | None = option(
        None,
        help="Dead latents that reconstruct the residual error; half the width if not given.",
        minimum=1,
        panel="Training",
    )
    aux_coefficient: float = option(
        1 / 32, help="Weight of the auxiliary loss for dead latents.", minimum=0.0, panel="Training"
    )
    bandwidth: float = option(
        0.01,
        help="Width of the window around a threshold in which it learns, in root mean square norms of the input "
        "(jumprelu).",
        minimum=0.0,
        panel="Training",
    )
    tanh_scale: float = option(
        4.0,
        help="How steep --l0-loss tanh is: tanh(scale times activation times decoder norm).",
        minimum=1e-6,
        panel="Training",
    )
    anneal_start: float = option(
        0.3,
        help="Share of the tokens after which the exponent of an annealed penalty falls.",
        minimum=0.0,
        maximum=1.0,
        panel="Training",
    )
    device: str = option("cpu", help="Where to train.", choices=("cpu", "cuda", "mps"), panel="Training")
    precision: str = option(
        "fp32",
        help="Number type of weights and arithmetic. bf16: of matrix products alone, which pays on hardware with bf16 "
        "units only; bf16-screen (topk): candidates in bf16, their values computed anew.",
        choices=tuple(PRECISIONS),
        panel="Training",
    )
    compile: bool = option(
        False,
        help="Fuse the step with torch.compile (standard, gated); for accelerators, on a CPU the other way is faster.",
        panel="Training",
    )
    save_dtype: str = option(
        "float32", help="Number type of the files.", choices=("float32", "float16", "bfloat16"), panel="Training"
    )

    held_out: int = option(
        200, help="Held-out sequences to measure on at the end, at most; 0 for none.", minimum=0, panel="Measurement"
    )

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The model, and the data by content: of shards the list that has the sha256 of each."""
        named = {**super().input_values(), **data_inputs(self.data)}
        return {name: values for name, values in named.items() if name != "model" or not self.activations}

    def validate(self) -> None:
        """Refuses shares that overlap."""
        if self.activations:
            self._check_activations()
        elif self.site is not None:
            raise UsageError("--site says where the vectors of --activations are from.", "Choose sites with --kind.")
        _ = self.dropped_tokens, self.cache_bytes
        if self.warmup + self.decay > 1:
            raise UsageError(f"--warmup {self.warmup} and --decay {self.decay} make more than the whole run.")
        for name in ("sparsity_warmup", "k_anneal"):
            if (share := getattr(self, name)) + self.decay > 1:
                raise UsageError(
                    f"--{name.replace('_', '-')} {share} reaches into the last part, --decay {self.decay}."
                )
        if self.downstream_weight != 1 and self.loss != END_TO_END:
            raise UsageError(f"--downstream-weight is of --loss {END_TO_END}, not of --loss {self.loss}.")
        if not self.bandwidth > 0:
            raise UsageError("--bandwidth 0: a threshold learns only within a window around it.", "Try 0.01.")

    def _check_activations(self) -> None:
        of_model = {"data": self.data, "kind": self.kind, "context": self.context, "pack": self.pack is not None}
        of_model |= {"cache-activations": self.cache_activations, "drop": self.drop != ("bos",)}
        of_model |= {"layers": self.layers != ":", "processing": self.processing != "raw"}
        if given := [name for name, value in of_model.items() if value]:
            raise UsageError(f"--{given[0]} is of a model, and --activations has none.", "Say --site, or leave it out.")
        if self.model not in ("none", "othello-mini"):
            raise UsageError(f"--activations reads no model, and {self.model} is one.", "Leave the model out.")

    @property
    def dropped_tokens(self) -> frozenset[str | int]:
        """``--drop``, read: names of special tokens, and numbers."""
        if "none" in self.drop and len(self.drop) > 1:
            raise UsageError("--drop none leaves nothing out, and another --drop does.", "Say one or the other.")
        wrong = [one for one in self.drop if one not in (*DROPPED, "none") and not one.isdecimal()]
        if wrong:
            raise UsageError(f"--drop {wrong[0]}: expected {', '.join(DROPPED)}, none, or the number of a token.")
        return frozenset(int(one) if one.isdecimal() else one for one in self.drop if one != "none")

    @property
    def cache_bytes(self) -> int | None:
        """The room of ``--cache-activations``, None without it."""
        return None if self.cache_activations is None else parse_bytes(self.cache_activations, "--cache-activations")

    @property
    def tables(self) -> tuple[SaeTable, ...]:
        """The ``[[sae]]`` tables, or the one that the flags describe."""
        if self.sae:
            return self.sae
        kinds = self.kind or (("mlp_in", "mlp_out") if self.arch == JACOBIAN else ("resid_pre",))
        names = ("layers", "arch", "k", "latents", "sparsity_weight", "target_l0", "l0_loss", "sparsity_p")
        names = (*names, "groups", "skip", "widths", "sharing", "stairs", "tied")
        names = (*names, "jacobian_coefficient", "jacobian_reduction", "jacobian_tokens", "jacobian_at")
        return (SaeTable(kind=kinds, **{name: getattr(self, name) for name in names}),)
