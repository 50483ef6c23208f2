"""Configuration of ``saecli view``. Imports no torch: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.config import PlaceConfig, argument, option
from saecli.core.errors import UsageError
from saecli.core.inputs import RUNS
from saecli.data.flags import DATA_HELP, DATA_METAVAR
from saecli.data.names import data_inputs
from saecli.view.runs import manifests
from saecli.view.subject import Subject, subject_of

EMBEDDED: Final = "othello-mini"
AUTO: Final = "auto"
NONE: Final = "none"


@dataclass(frozen=True, kw_only=True)
class ViewConfig(PlaceConfig):
    """Which features are shown, what is read to see where they fire, and what else is looked through."""

    command: ClassVar[str] = "view"

    what: tuple[str, ...] = argument(
        (EMBEDDED, "5:54"),
        help="Features, such as 7:331 or 7.attn_out:12,40, after their suite if it is not othello-mini; or a run "
        "directory or page, to be told where the page is.",
        metavar="[SUITE] FEATURE…|RUN|FILE.html",
        complete="suites",
    )
    model: str | None = option(
        None, help="The model; the one that the suite was made for if not given.", complete="models", panel="Input"
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
        help="Sequences to look through, held-out ones first; 0 for as many as have about 32,768 tokens.",
        minimum=0,
        panel="Input",
    )
    labels: str = option(
        AUTO,
        help="Feature labels: a file, auto (beside the suite, or kept by saecli f1), or none.",
        metavar="FILE|auto|none",
        complete="files",
        panel="Page",
    )
    contexts: int = option(
        10, help="Contexts in which the feature fires most strongly.", minimum=1, maximum=50, panel="Page"
    )
    context_width: int | None = option(
        None,
        help="Tokens on either side of them; 8 moves or 24 tokens of text if not given.",
        minimum=0,
        maximum=100,
        panel="Page",
    )
    connections: str = option(
        AUTO,
        help="Connections of the suite: a file, a run of saecli connect, auto (beside the suite), or none.",
        metavar="FILE|auto|none",
        complete="files",
        panel="Page",
    )
    top: int = option(15, help="Connections shown each way, the strongest.", minimum=1, maximum=1000, panel="Page")
    neighbours: int = option(
        0,
        help="Make the pages of so many of the most strongly connected features each way, too.",
        minimum=0,
        maximum=100,
        panel="Page",
    )
    runs: tuple[str, ...] = option(
        (RUNS,),
        help="Folders of runs, whose circuits and clusters are searched for the features. Repeatable.",
        metavar="DIR",
        complete="dirs",
        panel="Page",
    )
    open: bool = option(
        False, help="Open the page in the browser, if this is a terminal.", session=True, panel="Output"
    )
    device: str = option(
        "auto", help="Where to compute.", choices=("auto", "cpu", "cuda"), fingerprint=False, panel="Machine"
    )

    def validate(self) -> None:
        """Refuse what is neither features nor a page, and neighbours without connections."""
        _ = self.subject
        if self.neighbours and self.connections == NONE:
            raise UsageError("--neighbours are found by connections, and --connections none was asked for.")

    @property
    def subject(self) -> Subject:
        """What the arguments are."""
        return subject_of(self.what, EMBEDDED)

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The model, the suite, connections, labels, the data by content, and the runs that are looked through."""
        subject = self.subject
        if subject.page is not None:
            return {}
        found = {f"runs[{number}]": (str(path),) for number, path in enumerate(manifests(self.runs))}
        found |= {"suite": (subject.suite,)} | data_inputs(self.data or "")
        found |= {"model": (self.model,)} if self.model else {}
        found |= {"connections": (self.connections,)} if self.connections not in (AUTO, NONE) else {}
        if self.labels == AUTO:
            from zoo.resolve import kept_labels

            found |= {f"labels[{n}]": (str(path),) for n, path in enumerate(kept_labels(subject.suite))}
        elif self.labels != NONE:
            found["labels"] = (self.labels,)
        return found
