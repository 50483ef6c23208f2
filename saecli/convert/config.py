"""Configuration of ``saecli convert``. Imports nothing heavy: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.config import CallConfig, argument, option
from saecli.core.errors import UsageError

_DICTIONARIES: Final = "saecli.convert.dictionaries:convert"
TARGETS: Final = {
    "shards": "saecli.convert.text:convert",
    **dict.fromkeys(("saelens", "dictionary_learning", "sparsify", "circuit-tracer", "gpt-circuits"), _DICTIONARIES),
    "connections": "saecli.convert.connections:convert",
}
"""What can be made, with the function that makes it: ``convert(config, progress) -> ConvertResult``."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(CallConfig):
    """What to convert into what; each target reads the options of its own panel."""

    command: ClassVar[str] = "convert"

    paths: tuple[str, ...] = argument(
        (), help="What to convert, then the folder to make.", metavar="SRC… DST", complete="files", input=False
    )
    to: str | None = option(None, help="What to make.", choices=tuple(TARGETS))
    overwrite: bool = option(False, help="Replace DST if it is there.", flag="--overwrite", session=True)

    tokenizer: str = option(
        "ascii", help="Vocabulary (ascii, gpt2, chess, othello) or a folder with tokenizer.json.", panel="Token shards"
    )
    column: str = option(
        "", help="Column of tables; text, tokens, input_ids, story or content if not given.", panel="Token shards"
    )
    documents: str = option(
        "file",
        help="What a document of a .txt is: the file, its lines, or what stands between two of a text given here.",
        metavar="file|lines|TEXT",
        panel="Token shards",
    )
    separator: str = option(
        "none",
        help="Token written after every document.",
        choices=("none", "newline", "eos"),
        panel="Token shards",
    )
    split: str = option(
        "auto",
        help="Held out: documents by their hash, all but the head of the tokens, or files by train and val in their "
        "names; auto is names if all say it, head for one text that is one document, else documents.",
        choices=("auto", "documents", "head", "names"),
        metavar="RULE",
        panel="Token shards",
    )
    val_fraction: float = option(0.1, help="Share that is held out.", minimum=0.0, maximum=1.0, panel="Token shards")
    shard_tokens: int = option(100_000_000, help="Most tokens of a shard.", minimum=1, panel="Token shards")

    include: tuple[str, ...] = option(
        (), help="Only the dictionaries whose name fits this pattern.", metavar="GLOB", panel="Dictionaries"
    )
    site: str | None = option(
        None,
        help="Where a dictionary reads (and writes), if its files do not say.",
        metavar="SITE[>SITE]",
        panel="Dictionaries",
    )
    norm_scale: float | None = option(
        None, help="What inputs were multiplied by in training, if the files lack it.", panel="Dictionaries"
    )
    parallel: bool = option(
        False, help="Attention and MLP of the model's blocks run in parallel (Pythia).", panel="Connections"
    )
    dtype: str = option(
        "float32",
        help="Number type of the weights written.",
        choices=("float32", "float16", "bfloat16"),
        metavar="TYPE",
        panel="Dictionaries",
    )
    become: str | None = option(
        None,
        help="Another architecture on the way: TopK with the threshold it learned in training becomes JumpReLU, which "
        "has somewhat fewer than k active features on average.",
        choices=("jumprelu",),
        flag="--as",
        panel="Dictionaries",
    )
    lossy: bool = option(
        False, help="Accept a result that differs from the source.", flag="--lossy", panel="Dictionaries"
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """What to convert."""
        return self.paths[:-1]

    @property
    def destination(self) -> str:
        """The folder to make."""
        return self.paths[-1]

    def validate(self) -> None:
        """Refuses calls that do not say from what, to where, or what to make."""
        if self.show_config:
            return
        if len(self.paths) < 2:
            raise UsageError("convert needs what to convert and the folder to make: saecli convert SRC… DST --to NAME.")
        if not self.to:
            raise UsageError(f"Say what to make with --to: {', '.join(TARGETS)}.")
        if self.norm_scale is not None and not self.norm_scale > 0:
            raise UsageError(f"--norm-scale is positive, not {self.norm_scale:g}.")
        if self.become and TARGETS[self.to] != _DICTIONARIES:
            raise UsageError(f"--as {self.become} is for dictionaries, and --to {self.to} makes none.")
        if not 0 < self.val_fraction < 1:
            raise UsageError(f"--val-fraction {self.val_fraction:g} must be more than 0 and less than 1.")
        if not self.documents:
            raise UsageError("--documents needs file, lines, or the text that stands between two documents.")
