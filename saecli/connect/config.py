"""Configuration of ``saecli connect``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.config import ModelConfigMixin, SharedConfig, argument, option
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.data.flags import DATA_HELP, DATA_METAVAR, HalfMixin
from saecli.data.names import data_inputs

EMBEDDED: Final = "othello-mini"
SCORES: Final = ("active-mean", "mean", "max", "weight", "gradient", "random")
PAIR_SCORES: Final = ("ig", "jacobian", "ablation")
_ACROSS: Final = (("mlp_in", "mlp_out", 0), ("resid_mid", "resid_pre", 1), ("resid_pre", "resid_pre", 1))
"""Kinds of the sites of a pair, and the layers between them."""
_PAIRS: Final = "Write 3.mlp_in:3.mlp_out, 3.resid_mid:3.resid_post or 3.resid_pre:4.resid_pre."
_STEPS: Final = 10
_USUAL: Final = (10, 30, 100)
_MOST: Final = 1 << 31
_ALL: Final = "all"


@dataclass(frozen=True, kw_only=True)
class ConnectConfig(HalfMixin, ModelConfigMixin, SharedConfig):
    """Which dictionaries are connected, on which tokens their connections are scored, and how many are kept."""

    command: ClassVar[str] = "connect"

    model: str = argument(EMBEDDED, help="A model of the zoo, or a folder.", complete="models")
    suite: str | None = option(
        None,
        help="A suite of the model with a dictionary of attn_out and a transcoder from mlp_in to mlp_out in every "
        "layer; if not given, MODEL-transcoders of the zoo, else the model's own.",
        metavar="SUITE",
        complete="suites",
        input=True,
        panel="Input",
    )
    data: str | None = option(
        None,
        help=f"What the model reads; if not given, what the zoo names: {DATA_HELP}",
        metavar=DATA_METAVAR,
        complete="files",
        panel="Input",
    )
    sequences: int = option(
        0,
        help="Sequences to score on, held-out ones first; 0 for as many as have about 32,768 tokens.",
        minimum=0,
        panel="Input",
    )
    n_ctx: int = option(
        0,
        help="Positions per sequence; 0 for those that the dictionaries were trained on, or 128.",
        minimum=0,
        panel="Input",
    )
    pair: tuple[str, ...] = option(
        (),
        help="Connect the features of two autoencoders with an MLP (3.mlp_in:3.mlp_out), an MLP with its norm and skip "
        "path (3.resid_mid:3.resid_post) or a block (3.resid_pre:4.resid_pre) between them, through that part itself. "
        "Repeatable: one file has them all.",
        metavar="SITE:SITE",
        panel="Choose",
    )
    score: str | None = option(
        None,
        help="What makes a connection important: the mean contribution to the feature where it is active, or "
        "everywhere; the largest where it is active; the weight alone; the mean where it is active, weighed by how "
        "much the loss depends on the feature; or chance, as many per row as active-mean keeps. active-mean if not "
        "given, with --compat scae mean. With --pair: ig (integrated gradients, the default), jacobian (the mean size "
        "of the derivative) or ablation (the mean change when the source is set to 0).",
        choices=(*SCORES, *PAIR_SCORES),
        panel="Choose",
    )
    c: str | None = option(
        None,
        help="Keep so many upstream features of each feature, over all upstream modules together; 10,30,100 if neither "
        "this nor --keep is given. Several numbers make a file each; all keeps everything.",
        metavar="C,…",
        panel="Choose",
    )
    keep: str | None = option(
        None,
        help="Keep so many connections of the whole suite, or of each pair (there also all, the default). Several "
        "numbers make a file each.",
        metavar="E,…",
        panel="Choose",
    )
    steps: int = option(
        _STEPS, help="With --pair and ig: points at which gradients are taken.", minimum=1, panel="Choose"
    )
    embed: bool = option(
        False,
        help="Connect the embeddings of tokens too, upstream of all features.",
        flag="--embed",
        panel="Choose",
    )
    logits: bool = option(
        False,
        help="Connect the logits of tokens too, downstream of all features.",
        flag="--logits",
        panel="Choose",
    )
    compat: str | None = option(
        None,
        help="Do as a reference does: scae scores by unconditional sums over the features of the pruned pass with "
        "everything connected, and in parallel blocks counts connections from attention to MLP that cannot be. With "
        "--pair, gpt-circuits: gradients times the length of all source features together, roots of sums of squares.",
        choices=("scae", "gpt-circuits"),
        panel="Choose",
    )

    device: str = option(  # sums need sparse products, which mps lacks
        "auto", help="Where to compute.", choices=("auto", "cpu", "cuda"), panel="Machine"
    )
    dtype: str = option(
        "auto", help="Number type of the model and the sums.", choices=("auto", "float32", "float64"), panel="Machine"
    )

    def validate(self) -> None:
        """Refuse numbers that are none, and what the reference does not have."""
        _ = self.per_feature, self.overall
        if self.pair or self.compat == "gpt-circuits" or self.score in PAIR_SCORES:
            self._check_pair()
        elif self.keep is not None and _ALL in _parts(self.keep):
            raise UsageError("--keep all belongs to --pair.", "Write --c all.")
        elif self.steps != _STEPS:
            raise UsageError("--steps belongs to --pair.", "Leave it out.")
        if self.follows and (self.score or "mean") != "mean":
            raise UsageError(
                f"--compat scae scores by the mean, and --score {self.score} was asked for.", "Leave one out."
            )
        if self.follows and (self.embed or self.logits):
            raise UsageError("--compat scae connects features only.", "Leave --embed and --logits out.")

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The model, its suite, and the data by content."""
        return super().input_values() | data_inputs(self.data or "")

    @property
    def follows(self) -> bool:
        """Whether the reference is followed."""
        return self.compat == "scae"

    @property
    def pairs(self) -> tuple[tuple[Site, Site], ...]:
        """``--pair``: source and target of each."""
        found = tuple(_pair(text) for text in self.pair)
        if twice := [pair for number, pair in enumerate(found) if pair in found[:number]]:
            raise UsageError(f"--pair {twice[0][0]}:{twice[0][1]} is named twice.", "Name each once.")
        return found

    @property
    def scored_by(self) -> str:
        """``--score`` or its default."""
        usual = "ig" if self.pair else "mean" if self.follows else "active-mean"
        return self.score or usual

    @property
    def per_feature(self) -> tuple[int, ...]:
        """The numbers of ``--c``, ascending; the usual ones if nothing is chosen."""
        if self.c is None:
            return () if self.keep is not None else _USUAL
        return _numbers("--c", [one for one in _parts(self.c) if one != _ALL], ", or all")

    @property
    def overall(self) -> tuple[int, ...]:
        """The numbers of ``--keep``, ascending."""
        parts = [] if self.keep is None else _parts(self.keep)
        return _numbers("--keep", [one for one in parts if one != _ALL])

    @property
    def keeps_all(self) -> bool:
        """Whether one more file connects everything."""
        return any(text is not None and _ALL in _parts(text) for text in (self.c, self.keep))

    def _check_pair(self) -> None:
        if not self.pairs:
            flag = "--compat gpt-circuits" if self.compat == "gpt-circuits" else f"--score {self.score}"
            raise UsageError(f"{flag} belongs to --pair.", f"Add --pair. {_PAIRS}")
        if self.score is not None and self.score not in PAIR_SCORES:
            known = ", ".join(PAIR_SCORES)
            raise UsageError(f"--score {self.score} is not of a pair.", f"With --pair, it is one of {known}.")
        if self.compat == "scae" or (self.compat is not None and self.scored_by != "ig"):
            raise UsageError("With --pair, --compat is gpt-circuits and --score ig.", "Leave one out.")
        if self.c is not None or self.embed or self.logits:
            raise UsageError("--c, --embed and --logits are not of a pair.", "Choose by --keep.")
        if self.steps != _STEPS and self.scored_by != "ig":
            raise UsageError(f"--steps belongs to --score ig, not {self.scored_by}.", "Leave it out.")


def _pair(text: str) -> tuple[Site, Site]:
    parts = text.split(":")
    if len(parts) != 2:
        raise UsageError(f"--pair expects two sites with a colon between them, got {text!r}.", _PAIRS)
    up, down = (Site.parse(part).canonical for part in parts)
    if (up.kind, down.kind, down.layer - up.layer) not in _ACROSS:
        raise UsageError(f"--pair {text}: no MLP, MLP block or block lies between these sites.", _PAIRS)
    return up, down


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _numbers(flag: str, parts: list[str], also: str = "") -> tuple[int, ...]:
    for one in parts:
        if not (one.isascii() and one.isdecimal() and 0 < int(one) <= _MOST):
            raise UsageError(
                f"{flag} expects numbers of connections above 0, got {one!r}.", f"Write {flag} 10,30,100{also}."
            )
    return tuple(sorted({int(one) for one in parts}))
