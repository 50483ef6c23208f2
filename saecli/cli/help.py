"""What `--help` prints: usage, panels of flags, commands, examples.

Typer's own pages import half of rich (markdown, syntax colours, tracebacks); these need its tables only.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

MAX_WIDTH = 100


class HelpPage:
    """Mixed into a command: `format_help` in panels.

    Attributes:
        examples: Command lines and what they do, shown at the end.
        listing: For a group, its commands with their one line of help.
    """

    examples: Sequence[tuple[str, str]] = ()
    listing: Sequence[tuple[str, str]] = ()

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.default = False  # without a default Typer imports pydantic, by which it converts values
        return option

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the page."""
        formatter.write(page(self, ctx))


class HelpCommand(HelpPage, TyperCommand):
    """A command with our help page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not any(param.required for param in self.get_params(ctx)):
            return []  # nothing was given: Typer would import pydantic to convert nothing
        return super().parse_args(ctx, args)


def page(command: Any, ctx: Any) -> str:
    """Returns the help page of a command, coloured if stdout is a terminal."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    sink = io.StringIO()
    console = Console(
        file=sink,
        width=min(shutil.get_terminal_size().columns, MAX_WIDTH),
        force_terminal=sys.stdout is not None and sys.stdout.isatty(),
        highlight=False,
    )

    def grid(rows: Sequence[tuple[Text, Text]]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for row in rows:
            table.add_row(*row)
        return table

    def panel(title: str, rows: Sequence[tuple[Text, Text]]) -> None:
        console.print(Panel(grid(rows), title=title, title_align="left", border_style="dim"))

    usage = " ".join(command.collect_usage_pieces(ctx))
    console.print(Padding(Text.assemble(("Usage: ", "bold"), f"{ctx.command_path} {usage}"), (1, 1, 1, 1)))
    if command.help:
        console.print(Padding(Text(command.help), (0, 1, 1, 1)))
    if command.listing:
        panel("Commands", [(Text(name, "cyan"), Text(help)) for name, help in command.listing])
    panels: dict[str, list[tuple[Text, Text]]] = {}
    for param in command.get_params(ctx):
        title = "Arguments" if param.param_type_name == "argument" else param.rich_help_panel or "Options"
        if "--help" in param.opts and list(panels)[1:]:
            title = list(panels)[-1]
        panels.setdefault(title, []).append((Text(names(param), "cyan"), describe(param, Text)))
    for title, rows in panels.items():
        panel(title, rows)
    if command.examples:
        rows = [(Text(line, "cyan"), Text(what, "dim")) for line, what in command.examples]
        console.print(Padding(Text("Examples", "bold"), (1, 1, 0, 1)), Padding(grid(rows), (0, 1, 0, 3)))
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines())


def names(param: Any) -> str:
    """Returns a parameter as it is typed: `-n, --steps N`, `--shuffle/--no-shuffle`."""
    if param.param_type_name == "argument":
        return param.metavar or param.name.upper()
    flags = ", ".join(sorted(param.opts, key=len)) + "".join(f"/{name}" for name in param.secondary_opts)
    return f"{flags} {param.metavar}" if param.metavar else flags


def describe(param: Any, text: Any) -> Any:
    """Returns a parameter's help with its default."""
    default = param.default
    if isinstance(default, list | tuple):
        default = ", ".join(str(one) for one in default)
    if isinstance(default, bool):
        default = (param.opts if default else param.secondary_opts)[0].lstrip("-") if param.secondary_opts else None
    shown = text(param.help or "")
    if default not in (None, ""):
        shown.append(f"  [default: {default}]", "dim")
    return shown
