"""Configuration of ``saecli trace``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.asking.flags import METRICS, SEQUENCES, SEQUENCES_AT, names_pairs
from saecli.core.config import (
    ModelConfigMixin,
    SharedConfig,
    SitesMixin,
    argument,
    config_fields,
    option,
    threshold,
)
from saecli.core.errors import UsageError
from saecli.data.flags import DATA_HELP, DATA_METAVAR
from saecli.data.names import data_inputs
from saecli.trace.calibrate_config import CALIBRATED, CalibrateMixin
from saecli.trace.grow_config import GrowMixin
from saecli.trace.linear_config import LinearMixin
from saecli.trace.rules_config import RulesMixin
from saecli.trace.search_config import SearchMixin

AGGREGATES = ("none", "sum", "mean")
ABLATIONS = ("zero", "mean", "resample", "patch")
RULES = ("midpoint", "left")
STEPS = 20
CONTEXT_WIDTH, CONTEXT_SEQUENCES = 5, 500


@dataclass(frozen=True, kw_only=True)
class TraceConfig(
    SearchMixin, LinearMixin, GrowMixin, CalibrateMixin, RulesMixin, SitesMixin, ModelConfigMixin, SharedConfig
):
    """What to trace, how, and how much of it to keep."""

    command: ClassVar[str] = "trace"

    model: str = argument("othello-mini", help="A model of the zoo, or a folder.", complete="models")
    suite: str | None = option(
        None,
        help="The model's dictionaries; its own suite if not given.",
        metavar="SUITE",
        complete="suites",
        input=True,
        panel="Input",
    )
    probe: bool = option(
        False,
        help="First check on 1,000 tokens that the dictionaries do what is recorded of them.",
        flag="--probe",
        fingerprint=False,
    )
    benchmark: bool = option(
        False,
        help="Trace circuits planted in small models, by every method, and tell how much of them is found; takes no "
        "model.",
        flag="--benchmark",
        panel="Method",
    )
    game: str | None = option(
        None,
        help="For models of games: moves of Othello, F5D6C3… or token ids, or of chess, '1. e4 e5 2. Nf3' "
        "(';1.e4 e5 2.N' to the character); a fixed held-out game if not given.",
        metavar="MOVES",
        panel="Input",
    )
    prompt: str | None = option(
        None, help="For models of text: the text; a fixed one if not given.", metavar="TEXT", panel="Input"
    )
    patch: str | None = option(
        None,
        help="A counterfactual text or game of equal length: what is removed takes its activation there.",
        metavar="TEXT",
        panel="Input",
    )
    prompts: str | None = option(
        None,
        help="Many prompts: JSON lines with clean_prefix and clean_answer, and patch_prefix and patch_answer for "
        "counterfactuals; games of chess in a PGN file; or data, as --data names them. Of games and data the model's "
        "own top choice at --at is explained (with --metric ce the token that follows).",
        metavar="FILE.jsonl|GAMES.pgn|DATA",
        complete="files",
        input=True,
        panel="Input",
    )
    n_prompts: int | None = option(
        None,
        help=f"The first so many of --prompts; if not given, all of a file, {SEQUENCES} sequences of data.",
        minimum=1,
        panel="Input",
    )
    aggregate: str = option(
        "sum",
        help="With --prompts: add up the positions of a prompt, take their mean, or keep them (prompts of one length); "
        "then the mean over prompts.",
        choices=AGGREGATES,
        panel="Input",
    )
    at: int | None = option(
        None,
        help="Explain the prediction at this position, from 0 (negative: from the end); if not given, the last, "
        f"{SEQUENCES_AT} of data in --prompts.",
        metavar="POSITION",
        panel="Input",
    )
    target: str | None = option(
        None,
        help="What to explain: a move F5, a token ' the', a pair F5-C3, or a feature 8:331@19; the model's top choice "
        "if not given.",
        metavar="TARGET",
        panel="Input",
    )
    metric: str = option(
        "auto",
        help="What effects are measured in; auto fits the model and the target.",
        choices=METRICS,
        panel="Input",
    )

    method: str | None = option(
        None,
        help="First-order effects; integrated gradients, first-order effects averaged on the way to the removal of a "
        "whole site; ablation, removing features one by one and watching activations change; exact, removing "
        "features and errors one by one and measuring every edge by itself; search, the fewest features of each "
        "residual site that keep the prediction; or direct, for transcoders: what features do to each other where "
        "norms keep their scales and attention its patterns. If not given, direct for transcoders and gradient else.",
        choices=("gradient", "ig", "ablation", "exact", "search", "direct"),
        panel="Method",
    )
    steps: int = option(STEPS, help="With ig: points on the way.", minimum=1, panel="Method")
    rule: str = option(
        RULES[0],
        help="With ig: the points lie in the middle of equal parts, or at their beginning.",
        choices=RULES,
        panel="Method",
    )
    ablation: str | None = option(
        None,
        help="What takes the place of what is removed: nothing, the mean over --data, another sequence of --data (by "
        "--seed), or its activation on --patch; if not given, --patch if there is one, else nothing (with search: "
        "tokens of --data).",
        choices=ABLATIONS,
        panel="Method",
    )
    data: str | None = option(
        None,
        help=f"For mean, resample, search and --contexts; if not given, what the zoo names for the model: {DATA_HELP}",
        metavar=DATA_METAVAR,
        complete="files",
        panel="Method",
    )
    sequences: int = option(
        100, help="For mean, resample and search: sequences of --data, as long as the input.", minimum=1, panel="Method"
    )
    positions: str = option(
        "each",
        help="With ablation: remove a feature at each position by itself, at all at once, or at the last only.",
        choices=("each", "all", "last"),
        panel="Method",
    )

    keep: float | None = option(
        None,
        help="Keep, per site, the strongest nodes that carry this share of the absolute effect (0.8 if no other limit "
        "on nodes is given).",
        minimum=0.0,
        maximum=1.0,
        panel="Selection",
    )
    top_nodes: int | None = option(
        None, help="Keep at most this many nodes per site, by absolute effect.", minimum=1, panel="Selection"
    )
    node_threshold: str | None = option(
        None,
        help="Keep nodes of at least this absolute effect, 0.05 or 2**-4; calibrated: features that exceed "
        "their threshold of --calibrate.",
        metavar="VALUE|calibrated",
        panel="Selection",
    )
    top_edges: int | None = option(
        3,
        help="Keep, per child and the target, this many most positive and as many most negative edges.",
        minimum=1,
        panel="Selection",
    )
    edge_threshold: str | None = option(
        None, help="Keep edges of at least this absolute weight: 0.01 or 2**5.", metavar="VALUE", panel="Selection"
    )
    pin: tuple[str, ...] = option(
        (),
        help="Keep this feature whatever its effect; with ablation, remove only pinned features of its site. "
        "Repeatable.",
        metavar="7:331",
        panel="Selection",
    )
    labels: str = option(
        "auto",
        help="Feature labels: a file, auto (beside the suite, or kept by saecli f1), or none.",
        input=True,
        metavar="FILE|auto|none",
        panel="Labels",
    )

    contexts: int = option(
        0,
        help="Show, of every feature, this many contexts in which it fires most strongly: sequences of --data, with "
        "the board of a game. The first time the model runs over them; then they are kept.",
        minimum=0,
        maximum=50,
        panel="Labels",
    )
    context_width: int = option(
        CONTEXT_WIDTH, help="With --contexts: tokens on either side.", minimum=0, maximum=100, panel="Labels"
    )
    context_sequences: int = option(
        CONTEXT_SEQUENCES, help="With --contexts: sequences that are looked through.", minimum=1, panel="Labels"
    )
    explanations: str = option(
        "none",
        help="Ask Neuronpedia's server what it says of every feature, if it shows the suite; answers are kept.",
        choices=("none", "neuronpedia"),
        panel="Labels",
    )

    def validate(self) -> None:
        """Refuse options that contradict each other."""
        if self.benchmark:
            self._check_benchmark()
        _ = self.least_effect
        threshold(self.edge_threshold, "--edge-threshold")
        if self.metric == "kl" and self.method in (None, "gradient", "direct"):
            raise UsageError(
                "--metric kl has no gradient at the unmodified input.", "Add --method ablation, exact or ig."
            )
        if self.method != "ig" and (self.steps != STEPS or self.rule != RULES[0]):
            raise UsageError("--steps and --rule belong to --method ig.", "Add --method ig.")
        self.check_search()
        self.check_linear()
        self._check_prompts()
        if self.ablation == "patch" and self.patch is None and self.prompts is None:
            raise UsageError("--ablation patch needs a counterfactual.", "Add --patch TEXT.")
        if self.patch is not None and self.ablation not in (None, "patch"):
            raise UsageError(f"--patch and --ablation {self.ablation} are two answers to one question.", "Keep one.")
        if self.data is not None and self.stands_in not in ("mean", "resample") and not self.contexts:
            raise UsageError(
                "--data is read with --ablation mean and resample, and with --contexts.", "Add --contexts 6."
            )
        if not self.contexts and (self.context_width != CONTEXT_WIDTH or self.context_sequences != CONTEXT_SEQUENCES):
            raise UsageError("--context-width and --context-sequences belong to --contexts.", "Add --contexts 6.")
        if self.positions != "each" and self.method != "ablation":
            raise UsageError(f"--positions {self.positions} belongs to --method ablation.")

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """Also the descriptions of features that the user's cache holds."""
        if self.benchmark:
            return {}
        found = super().input_values() | data_inputs(self.data or "")
        if self.prompts and not names_pairs(self.prompts):
            found |= {name.replace("data", "prompts"): value for name, value in data_inputs(self.prompts).items()}
        if self.labels == "auto":
            from zoo.resolve import kept_labels

            kept = kept_labels(self.suite or self.model)
            found |= {f"labels[{number}]": (str(path),) for number, path in enumerate(kept)}
        return found

    @property
    def is_latest(self) -> bool:
        """Not of a benchmark, which leaves no graph."""
        return super().is_latest and not self.benchmark

    def _check_benchmark(self) -> None:
        shared = {item.name for item in config_fields(SharedConfig)} | {"benchmark"}
        for item in config_fields(TraceConfig):
            if item.name not in shared and getattr(self, item.name) != item.default:
                name = item.name.upper() if item.option.positional else item.flag
                raise UsageError(
                    f"{name} is of one trace, and --benchmark traces models and inputs of its own by every method.",
                    "Keep one of them.",
                )

    def _check_prompts(self) -> None:
        if self.prompts is None:
            if self.n_prompts is not None or self.aggregate != "sum":
                raise UsageError("--n-prompts and --aggregate belong to --prompts.", "Add --prompts FILE.jsonl.")
            return
        if not names_pairs(self.prompts) and (self.ablation == "patch" or self.metric == "logit-diff"):
            raise UsageError(f"Pairs stand in a file of JSON lines, and --prompts {self.prompts} is none.")
        one = ("game", "prompt", "patch", "target")
        for name in (*one, "at") if names_pairs(self.prompts) else one:
            if getattr(self, name) is not None:
                raise UsageError(f"--{name} is of one input, and --prompts names many.", "Keep one.")
        if self.method not in (None, "gradient", "ig", "direct"):
            raise UsageError(
                f"--prompts goes with --method gradient, ig and direct, not {self.method}.", "Use --method ig."
            )
        if self.metric == "feature":
            raise UsageError("--metric feature is of one input, and --prompts names many.")

    @property
    def stands_in(self) -> str:
        """What takes the place of what is removed: ``--ablation``, or its default."""
        usual = "resample" if self.method == "search" else "zero"
        return self.ablation or ("patch" if self.patch is not None else usual)

    @property
    def least_effect(self) -> float:
        """``--node-threshold``, 0 where thresholds are of activations."""
        return 0.0 if self.node_threshold == CALIBRATED else threshold(self.node_threshold, "--node-threshold")

    @property
    def kept_share(self) -> float | None:
        """``--keep``, or the default share when nothing else limits the nodes."""
        limited = (
            self.top_nodes is not None
            or self.influence is not None
            or self.node_threshold is not None
            or self.method == "search"
        )
        return 0.8 if self.keep is None and not limited else self.keep
