"""Progress bars with a table below them that changes while they move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

_OTHER_LINES = 4  # of the terminal: bars, titles, and what says that there is more


class ProgressAndTable(Progress):
    """Bars and a table: as many of its rows as the terminal has room for.

    Attributes:
        table: A row of titles and rows of words; words of every column but the first are numbers.
    """

    table: Sequence[Sequence[str]] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the table."""
        yield self.make_tasks_table(self.tasks)
        if not self.table:
            return
        titles, *rows = self.table
        shown = rows[: max(1, self.console.height - _OTHER_LINES)]
        grid = Table(box=None, pad_edge=False, header_style="dim")
        for number, title in enumerate(titles):
            grid.add_column(title, justify="right" if number else "left", no_wrap=True)
        for row in shown:
            grid.add_row(*map(Text, row))
        yield grid
        if len(shown) < len(rows):
            yield Text(f"and {len(rows) - len(shown)} more", style="dim")
