"""Configuration of ``saecli validate``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.asking.flags import METRICS, parse_limits
from saecli.core.bound import Bound
from saecli.core.config import ModelConfigMixin, SharedConfig, SitesMixin, argument, option
from saecli.core.errors import UsageError
from saecli.data.flags import DATA_HELP, DATA_METAVAR, HalfMixin
from saecli.data.names import data_inputs
from saecli.validate.intervention_flags import parse_setting
from saecli.validate.metrics import parse_bound

ABLATIONS = ("zero", "mean", "resample")
ERRORS = ("circuit", "kept", "removed")
_WITH_SET: Final = {"generate": 0, "prompt": None, "game": None, "at": None, "target": None, "metric": "auto"}


@dataclass(frozen=True, kw_only=True)
class ValidateConfig(HalfMixin, SitesMixin, ModelConfigMixin, SharedConfig):
    """Which suites, circuits or features to measure on which data, and what they must reach."""

    command: ClassVar[str] = "validate"

    suite: tuple[str, ...] = argument(
        ("othello-mini",),
        help="Suites of one model (names of the zoo, folders of dictionaries), or graphs of saecli trace (graph.json, "
        "run directories); which they are is found out.",
        metavar="SUITE|GRAPH…",
        complete="suites",
    )
    model: str | None = option(
        None,
        help="The model; the one that the first suite was made for if not given.",
        complete="models",
        input=True,
        panel="Input",
    )
    data: str | None = option(
        None,
        help=f"What it reads, of which the held-out side is measured; if not given, what the zoo names: {DATA_HELP}",
        metavar=DATA_METAVAR,
        complete="files",
        panel="Input",
    )
    sequences: int = option(
        200, help="Held-out sequences, or prompts for a circuit without positions.", minimum=2, panel="Input"
    )
    n_ctx: int = option(
        0,
        help="Positions per sequence; 0 for those that the dictionaries were trained on, or 128.",
        minimum=0,
        panel="Input",
    )
    firing: int = option(
        1000,
        help="More held-out sequences, only to see which features ever fire.",
        minimum=0,
        panel="Input",
    )
    of_suite: str | None = option(
        None,
        help="Of a graph: the dictionaries it was traced with, if its run does not tell where they are.",
        flag="--suite",
        metavar="SUITE",
        complete="suites",
        input=True,
        panel="Circuit",
    )
    connections: str | None = option(
        None,
        help="Compute the suite through these connections, of saecli connect, beside random ones; auto: those that lie "
        "beside it.",
        metavar="FILE|auto",
        complete="files",
        input=True,
        panel="Connections",
    )
    edges: tuple[str, ...] = option(
        (),
        help="Keep only the strongest of these edges between two sites, of saecli connect --pair, many numbers of them "
        "one after the other, beside random orders: a file or a run, whose largest file is taken. Repeatable, for "
        "several suites, which are compared.",
        metavar="FILE|RUN",
        complete="files",
        input=True,
        panel="Connections",
    )
    counts: str | None = option(
        None,
        help="With --edges: how many to keep, several numbers, of which those above all pairs mean all; if not given, "
        "powers of the root of 2 up to all pairs.",
        metavar="E[,E…]",
        panel="Connections",
    )
    c: str | None = option(
        None,
        help="With --connections: keep so many of each feature, the strongest; several numbers are measured side by "
        "side: 10,30,100.",
        metavar="N[,N…]",
        panel="Connections",
    )
    compat: str = option(
        "none",
        help="With --connections: scae computes biases and unexplained variance as the reference does, of folded "
        "weights.",
        choices=("none", "scae"),
        panel="Connections",
    )
    prompts: str | None = option(
        None,
        help="Of a graph of many prompts: those to measure on, its own or held-out ones of their kind, as of "
        "saecli trace.",
        metavar="FILE.jsonl",
        complete="files",
        input=True,
        panel="Circuit",
    )
    ablation: str = option(
        "zero",
        help="Of a graph: what takes the place of everything outside the circuit, for the curve and --min-faithfulness:"
        " nothing but the dictionaries' biases, the mean over data, or another prompt.",
        choices=ABLATIONS,
        panel="Circuit",
    )
    errors: str = option(
        "circuit",
        help="Of a graph: errors of dictionaries stay as the circuit has them, are all kept, or all removed; decides "
        "what --min-faithfulness asks. With --connections: kept adds them to what every module writes.",
        choices=ERRORS,
        panel="Circuit",
    )
    draws: int = option(
        5,
        help="Random circuits per circuit, random connections or feature sets, and prompts that resampled ablation "
        "takes from.",
        minimum=1,
        panel="Circuit",
    )
    features: tuple[str, ...] = option(
        (),
        help="Remove these features of a suite together, at every position: 6:839,104 7:331. Repeatable.",
        metavar="6:839,104",
        panel="Circuit",
    )
    set: tuple[str, ...] = option(
        (),
        help="Change a feature on one input, at one position or all: set it, scale it, or add to it (7:331=0, "
        "7.mlp_out:12@42=2x, 7:331=+5); of a graph, on its own input, beside what its edges predict. Repeatable. "
        "7:331=0..2x scales it in steps of 0.1: dose and response.",
        metavar="7:331=0|2x|+5|0..2x",
        panel="Intervention",
    )
    generate: int = option(
        0, help="With --set: also write so many tokens, with and without the change.", minimum=0, panel="Intervention"
    )
    temperature: float = option(
        0.0,
        help="With --generate: draw tokens (by --seed) from the distribution at this temperature; 0 takes the most "
        "likely one.",
        minimum=0.0,
        panel="Intervention",
    )
    prompt: str | None = option(
        None,
        help="With --set, for models of text: the text; a fixed one if not given.",
        metavar="TEXT",
        panel="Intervention",
    )
    game: str | None = option(
        None,
        help="With --set, for models of games: its moves, as of saecli trace; a fixed held-out game if not given.",
        metavar="MOVES",
        panel="Intervention",
    )
    at: int | None = option(
        None,
        help="With --set: look at the prediction at this position (negative: from the end); the last if not given.",
        metavar="POSITION",
        panel="Intervention",
    )
    target: str | None = option(
        None,
        help="With --set: what the metric is of, as of saecli trace; the model's top choice if not given.",
        metavar="TARGET",
        panel="Intervention",
    )
    metric: str = option(
        "auto",
        help="With --set: what effects are measured in; auto fits the model and the target.",
        choices=METRICS,
        panel="Intervention",
    )
    min_faithfulness: float | None = option(
        None, help="Of a graph: fail (exit code 4) if it is less faithful.", panel="Check"
    )
    require: tuple[str, ...] = option(
        (),
        help="Fail (exit code 4) unless this holds at every chosen site: 'ce_recovered>=0.95'. Repeatable.",
        metavar="METRIC>=VALUE",
        panel="Check",
    )
    choose: float | None = option(
        None,
        help="Of several suites keep one, as chosen/ of the run: the last named whose CE increase with all sites "
        "replaced is at most so many nats above that of the first. Choose by --half first what --half second reports.",
        metavar="NATS",
        minimum=0.0,
        panel="Check",
    )
    device: str = option(  # no mps, which has no fp64 to sum in
        "auto", help="Where to compute.", choices=("auto", "cpu", "cuda"), panel="Machine"
    )

    def validate(self) -> None:
        """Refuse no suite, the same suite twice, and bounds that are none."""
        if not self.suite:
            raise UsageError("saecli validate needs a suite.", "Name one, such as othello-mini.")
        if len(set(self.suite)) < len(self.suite):
            raise UsageError("The same suite is named twice.", "Name each once.")
        _ = self.bounds
        self._check_set()
        if self.connections is None and (self.c is not None or self.compat != "none"):
            flag = "--c" if self.c is not None else "--compat"
            raise UsageError(f"{flag} belongs to --connections.", "Add --connections FILE.")
        if not self.edges and self.counts is not None:
            raise UsageError("--counts belongs to --edges.", "Add --edges FILE.")
        if self.edges and self.connections is not None:
            raise UsageError("--edges and --connections are two questions.", "Keep one.")
        _ = parse_limits(self.c), self.numbers

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """Suites, the model, and the data by content: of shards the list that has the sha256 of each."""
        return super().input_values() | data_inputs(self.data or "")

    def _check_set(self) -> None:
        for text in self.set:
            parse_setting(text)
        if not self.set:
            for name, default in _WITH_SET.items():
                if getattr(self, name) != default:
                    raise UsageError(f"--{name} belongs to --set.", "Add --set 7:331=0.")
        elif self.features:
            raise UsageError("--set and --features are two questions.", "Keep one.")
        if self.temperature and not self.generate:
            raise UsageError("--temperature belongs to --generate.", "Add --generate 20.")

    @property
    def numbers(self) -> tuple[int, ...]:
        """``--counts``, ascending."""
        parts = [] if self.counts is None else [one.strip() for one in self.counts.split(",")]
        for one in parts:
            if not (one.isascii() and one.isdecimal() and 0 < int(one) < 1 << 40):
                raise UsageError(f"--counts expects numbers above 0, got {one!r}.", "Write --counts 1,10,100.")
        return tuple(sorted({int(one) for one in parts}))

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """``--require``, read."""
        return tuple(parse_bound(text) for text in self.require)
