"""Configuration of ``saecli connect``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.config import ModelConfigMixin, SharedConfig, argument, option
from saecli.core.errors import UsageError
from saecli.data.flags import DATA_HELP, DATA_METAVAR, PackMixin
from saecli.data.names import data_inputs

EMBEDDED: Final = "othello-mini"
SCORES: Final = ("active-mean", "mean", "max", "weight", "gradient", "random")
_USUAL: Final = (10, 30, 100)
_MOST: Final = 1 << 31
_ALL: Final = "all"


@dataclass(frozen=True, kw_only=True)
class ConnectConfig(PackMixin, ModelConfigMixin, SharedConfig):
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
    score: str | None = option(
        None,
        help="What makes a connection important: the mean contribution to the feature where it is active, or "
        "everywhere; the largest where it is active; the weight alone; the mean where it is active, weighed by how "
        "much the loss depends on the feature; or chance, as many per row as active-mean keeps. active-mean if not "
        "given, with --compat mean.",
        choices=SCORES,
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
        help="Keep so many connections of the whole suite. Several numbers make a file each.",
        metavar="E,…",
        panel="Choose",
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
        "everything connected, and in parallel blocks counts connections from attention to MLP that cannot be.",
        choices=("scae",),
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
        return self.compat is not None

    @property
    def scored_by(self) -> str:
        """``--score`` or its default."""
        return self.score or ("mean" if self.follows else "active-mean")

    @property
    def per_feature(self) -> tuple[int, ...]:
        """The numbers of ``--c``, ascending; the usual ones if nothing is chosen."""
        if self.c is None:
            return () if self.keep is not None else _USUAL
        return _numbers("--c", [one for one in _parts(self.c) if one != _ALL], ", or all")

    @property
    def overall(self) -> tuple[int, ...]:
        """The numbers of ``--keep``, ascending."""
        return () if self.keep is None else _numbers("--keep", _parts(self.keep))

    @property
    def keeps_all(self) -> bool:
        """Whether one more file connects everything."""
        return self.c is not None and _ALL in _parts(self.c)


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _numbers(flag: str, parts: list[str], also: str = "") -> tuple[int, ...]:
    for one in parts:
        if not (one.isascii() and one.isdecimal() and 0 < int(one) <= _MOST):
            raise UsageError(
                f"{flag} expects numbers of connections above 0, got {one!r}.", f"Write {flag} 10,30,100{also}."
            )
    return tuple(sorted({int(one) for one in parts}))
