"""The command line: a table of commands, imported one at a time, and what happens around a call."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from saecli import __version__
from saecli.cli.help import HelpCommand, HelpPage
from saecli.cli.output import Output
from saecli.core.errors import Failure, Interrupted, SaecliError, Terminated, UsageError, did_you_mean
from saecli.core.ranks import ranks_here

HELP = """Sparse-autoencoder circuits in language models: trace them, train what they need, check them."""
SHOW_COMPLETION = "--show-completion"
START = [
    ("saecli trace --layers 6:9", "circuit graph of the embedded OthelloGPT"),
    ("saecli COMMAND --help", "flags and examples of a command"),
]


@dataclass(frozen=True)
class Lazy:
    """A command in the table: its one line of help, and where it is or which commands are below it.

    Attributes:
        default: Of a group: the command below it that is meant when none is named.
    """

    help: str
    module: str = ""
    below: dict[str, Lazy] | None = None
    default: str = ""


COMMANDS: dict[str, Lazy] = {
    "trace": Lazy("Circuit graph of a prediction: what helps or hurts it, and through what.", "saecli.cli.trace"),
    "train": Lazy(
        "Train what the other commands need.",
        below={
            "lm": Lazy("Small GPTs, saved as Hugging Face GPT-2 folders.", "saecli.cli.train_lm"),
            "sae": Lazy("Sparse autoencoders at many sites of a model, in one pass.", "saecli.cli.train_sae"),
        },
    ),
    "connect": Lazy("The few upstream features that each feature of a suite may depend on.", "saecli.cli.connect"),
    "finetune": Lazy("Train a suite of dictionaries through its sparse connections.", "saecli.cli.finetune"),
    "validate": Lazy("Whether suites keep what a model does, and circuits carry it; controls.", "saecli.cli.validate"),
    "f1": Lazy("What dictionaries know of the board: F1 of features, coverage, reconstruction.", "saecli.cli.f1"),
    "cooc": Lazy("Latents that fire together: pairs, clusters, the subspaces they span.", "saecli.cli.cooc"),
    "graph": Lazy(
        "Work on stored circuit graphs, without a model.",
        below={
            "show": Lazy("What a graph says, and what is wrong with it.", "saecli.cli.graph_show"),
            "diff": Lazy("What two graphs have in common and where they differ.", "saecli.cli.graph_diff"),
            "merge": Lazy("One graph of many inputs: means, and how often each node occurs.", "saecli.cli.graph_merge"),
            "prune": Lazy("A smaller graph, by effects, influence or reach.", "saecli.cli.graph_prune"),
            "export": Lazy("A graph for other programs, or to look at and print.", "saecli.cli.graph_export"),
        },
        default="show",
    ),
    "view": Lazy("Open a report, or the page of a feature.", "saecli.cli.view"),
    "download": Lazy("Fetch models, dictionaries and data sets, or list what there is.", "saecli.cli.download"),
    "convert": Lazy("Dictionaries into other formats, text into token shards.", "saecli.cli.convert"),
    "run": Lazy("The steps of a template one after the other; a finished run again, with --check.", "saecli.cli.run"),
    "zoo": Lazy(
        "What there is: models, dictionaries and data sets by name, and what a file or folder is.",
        below={
            "list": Lazy("Models, suites of dictionaries and data sets that have a name.", "saecli.cli.zoo_list"),
            "show": Lazy("What a file, a folder or a name is; nothing of it is run.", "saecli.cli.zoo_show"),
            "cache": Lazy(
                "What was downloaded.",
                below={
                    "ls": Lazy("List it: revision, size, last use, completeness.", "saecli.cli.zoo_cache_ls"),
                    "prune": Lazy("Remove names, what is old, unfinished downloads.", "saecli.cli.zoo_cache_prune"),
                },
            ),
        },
        default="list",
    ),
    "schema": Lazy("Print the JSON schema of what a command prints with --json.", "saecli.cli.schema"),
}
"""The commands that work. A module holds `DOOR` (a `saecli.cli.door.Door`) or `click_command(name)`."""


class LazyGroup(HelpPage, TyperGroup):
    """A group whose commands are imported when called; listing them shows the table."""

    table: dict[str, Lazy]
    default: str

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        lazy = self.table.get(cmd_name)
        return None if lazy is None else HelpCommand(cmd_name, help=lazy.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == [SHOW_COMPLETION] and ctx.parent is None:
            # read here, because an option with a value would make every call import pydantic
            from saecli.cli.completion_scripts import script

            sys.stdout.write(script(" ".join(args[1:]), self.table))
            raise typer.Exit
        if self.default and "--help" not in args and (not args or args[0].startswith("-")):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if name not in self.table:
            if name.startswith("-"):
                return super().resolve_command(ctx, args)
            hint = did_you_mean(name, self.table) or f"Known: {', '.join(self.table)}."
            raise UsageError(f"{ctx.command_path} has no command {name!r}.", hint)
        return name, load(name, self.table[name]), args[1:]


def load(name: str, lazy: Lazy) -> Any:
    """Imports a command of the table."""
    if lazy.below is not None:
        return group(name, lazy.help, lazy.below, lazy.default)
    module = importlib.import_module(lazy.module)
    return module.DOOR.click_command(name) if hasattr(module, "DOOR") else module.click_command(name)


def group(name: str, help: str, table: dict[str, Lazy], default: str = "") -> LazyGroup:
    """Returns a group of the command tree; called without a command it prints its help, or calls its default."""
    app = typer.Typer(
        name=name, cls=_group_class(table, default=default), add_completion=False, pretty_exceptions_enable=False
    )

    @app.callback(invoke_without_command=True, help=help)
    def callback(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            print_help(context)

    return _built(app)


def root(table: dict[str, Lazy]) -> LazyGroup:
    """Returns the whole command tree."""
    app = typer.Typer(cls=_group_class(table, START), add_completion=False, pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True, help=HELP)
    def callback(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", metavar="", help="Print the version and stop."),
        show_completion: bool = typer.Option(
            False, SHOW_COMPLETION, metavar="bash|zsh|fish", help="Print a shell's completion script and stop."
        ),
    ) -> None:
        if version:
            sys.stdout.write(f"saecli {__version__}\n")
            raise typer.Exit
        if context.invoked_subcommand is None:
            print_help(context)

    return _built(app)


def _group_class(
    table: dict[str, Lazy], examples: Sequence[tuple[str, str]] = (), default: str = ""
) -> type[LazyGroup]:
    listing = [(name, lazy.help) for name, lazy in table.items()]
    members = {"table": table, "listing": listing, "examples": examples, "default": default}
    return type("LazyGroup", (LazyGroup,), members)


def _built(app: typer.Typer) -> LazyGroup:
    result = typer.main.get_command(app)
    assert isinstance(result, LazyGroup)  # noqa: S101
    return result


def print_help(context: typer.Context) -> None:
    """Prints the help of the command at hand on stdout."""
    sys.stdout.write(context.get_help() + "\n")


def run(argv: Sequence[str], table: dict[str, Lazy] | None = None) -> int:
    """Runs a command line in this process and returns its exit code; never raises for what a user can cause."""
    output = Output(as_json="--json" in argv)
    try:
        code = root(COMMANDS if table is None else table).main(
            args=list(argv), prog_name="saecli", standalone_mode=False
        )
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # whoever read our output has had enough (Typer turns that into SystemExit); keep the interpreter quiet at exit
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1 if sys.stdout is None else sys.stdout.fileno())
        ranks_here().say("exit", 0)
        return 0
    except KeyboardInterrupt as error:
        return report(output, Interrupted("Interrupted.", exit_code=143 if isinstance(error, Terminated) else 130))
    except SaecliError as error:
        return report(output, error)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"See `{context.command_path} --help`." if context is not None else ""
        message = error.format_message().rstrip(".")
        return report(output, UsageError(f"{message}.", hint))
    except OSError as error:
        return report(output, Failure(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."))
    except Exception as error:
        fault = f"{type(error).__name__}: {error}".rstrip(".: ")
        return report(output, Failure(f"saecli failed unexpectedly ({fault}).", "SAECLI_DEBUG=1 shows where."))


def report(output: Output, error: SaecliError) -> int:
    """Prints an error, unless another process does, and returns the exit code."""
    with contextlib.suppress(UsageError):  # that of the variables that name the processes, which `error` then is
        ranks = ranks_here()
        error = ranks.settle(error)
        ranks.part_ways()
        if not ranks.first:
            return error.exit_code
    if os.environ.get("SAECLI_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    with contextlib.suppress(BrokenPipeError):
        output.error(error)
    return error.exit_code


def main() -> NoReturn:
    """The console script."""

    def terminate(signum: int, frame: Any) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    sys.exit(run(sys.argv[1:]))
