"""`saecli view`: the door. Features get pages in a run directory; of a run that is there, the page is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saecli.cli.door import Door
from saecli.cli.output import Output
from saecli.core.config import fingerprint, resolve

if TYPE_CHECKING:
    from saecli.view.config import ViewConfig


class ViewDoor(Door):
    """The door of `saecli view`, which also tells where the page of a run is, and opens pages."""

    def call(self, flags: dict[str, Any]) -> int:
        """Makes pages, or finds one; opens it if asked to."""
        config: ViewConfig = resolve(self.config_class, flags).config
        output = Output(as_json=config.json, quiet=config.quiet)
        if config.subject.page is None or config.plan or config.show_config:
            code = super().call(flags)
            if config.open and not code and not config.plan and not config.show_config:
                from saecli.core.run import run_directory
                from saecli.view.subject import page_of

                inputs = {name: one.sha256 for name, one in self.inputs(config).items()}
                show(page_of(run_directory(config, fingerprint(config, inputs))), output)
            return code
        tell_page(config, output)
        return 0


DOOR = ViewDoor(
    config="saecli.view.config:ViewConfig",
    engine="saecli.view.engine:run",
    result="saecli.view.result:ViewResult",
    also=("saecli.view.result:PageResult",),
    summary="Open a report, or the page of a feature: where it fires, what it writes, what it is connected with.",
    examples=[
        ("saecli view 5:54", "a feature of the embedded OthelloGPT, with boards"),
        ("saecli view python-mini 2:124 2:79,188 --open", "several features of a suite, in the browser"),
        ("saecli view SUITE 3.mlp_in:40 --connections RUN", "also what it depends on and what depends on it"),
        ("saecli view SUITE 3.mlp_in:40 --neighbours 5", "the pages of those features, too, linked to each other"),
        ("saecli view saecli-runs/latest-trace --open", "the report of a run"),
    ],
)


def tell_page(config: ViewConfig, output: Output) -> None:
    """Prints where the page of a run is."""
    from saecli.core.result import to_json
    from saecli.view.result import PageResult
    from saecli.view.subject import page_of

    path = config.subject.page
    assert path is not None  # noqa: S101
    page = page_of(path)
    if output.as_json:
        document = to_json(PageResult(page=page.name))
        head = {"schema": document.pop("schema"), "command": config.command}
        output.document({**head, "run_directory": str(page.parent), "reused": True, **document})
    else:
        output.data(str(page))
    if config.open:
        show(page, output)


def show(page: Path, output: Output) -> None:
    """Opens a page in the user's browser; not where nobody sits at a terminal."""
    if not sys.stdout.isatty():
        output.say("Not opened: this is no terminal.")
        return
    import webbrowser

    if not webbrowser.open(page.absolute().as_uri()):
        output.say(f"No browser was found; open {page} yourself.")
