"""`saecli run`: the door. How steps are taken is in `saecli.cli.steps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saecli.cli.door import Door, tell
from saecli.cli.output import Output
from saecli.core.config import CommandConfig, fingerprint, resolve
from saecli.core.errors import InputError, UsageError

if TYPE_CHECKING:
    from saecli.core.inputs import Input
    from saecli.run.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class RunDoor(Door):
    """The door of `saecli run`, which also lists templates and checks finished runs."""

    def call(self, flags: dict[str, Any]) -> int:
        """Lists, checks, or takes the steps."""
        config = resolve(self.config_class, flags).config
        output = Output(as_json=config.json, quiet=config.quiet)
        if config.lists:
            return show_templates(output)
        if config.check:
            return check(config, output)
        return super().call(flags)

    def inputs(self, config: CommandConfig) -> dict[str, Input]:
        """The steps, by what they compute; those of a complete run must still read what they have read."""
        from saecli.cli.steps import checked_steps_of, unchanged
        from saecli.core.inputs import Input
        from saecli.core.run import directory_state, run_directory
        from saecli.run.steps import identity

        path, _, tasks = checked_steps_of(config)
        digest = fingerprint(config, {"steps": identity(tasks)})
        directory = run_directory(config, digest)
        again = getattr(config, "overwrite", False) or directory_state(directory, digest) != "complete"
        if not again and not unchanged(tasks, directory):
            problem = f"A step in {directory} is no longer complete, or what it read has changed."
            raise InputError(problem, "Add --overwrite to take the steps again.")
        return {"steps": Input(str(path), identity(tasks), path.stat().st_size)}


DOOR = RunDoor(
    config="saecli.run.config:RunConfig",
    engine="saecli.cli.steps:run",
    result="saecli.run.result:RunResult",
    summary="Take the steps of a template one after the other, or check a finished run by doing it again.",
    examples=[
        ("saecli run", "the list of templates"),
        ("saecli run gpt-circuits-64x4-laptop", "a model and its dictionaries in a few minutes"),
        ("saecli run gpt-circuits-64x4 --plan", "every step's command"),
        ("saecli run gpt-circuits-64x4 --set device=cuda", "another value for every step that has it"),
        ("saecli run my-steps.toml --set train-sae.tokens=100000", "steps of your own"),
        ("saecli run saecli-runs/latest-trace/manifest.json --check", "does it give the same bytes again?"),
    ],
)


def check(config: RunConfig, output: Output) -> int:
    """Computes finished runs again in a temporary directory and compares; exit code 4 if a file differs."""
    from saecli.cli.steps import again, recorded_class
    from saecli.core.result import to_json
    from saecli.run.recorded import Recorded
    from saecli.run.result import RunResult

    recorded = Recorded.find(str(config.steps))
    if recorded is None:
        raise UsageError(f"--check needs the manifest.json of a finished run, and {config.steps} is none.")
    recorded_class(recorded)  # refused before anything starts
    with output.progress() as progress:
        steps = tuple(again(member, progress) for member in recorded.members)
    result = RunResult(steps=steps, next="")
    if output.as_json:
        document = to_json(result)
        head = {"schema": document.pop("schema"), "command": config.command}
        output.document({**head, "run_directory": str(recorded.directory), "reused": False, **document})
    else:
        for line in result.summary_lines():
            output.data(line)
    return tell(result.failure(), output)


def show_templates(output: Output) -> int:
    """Prints the templates."""
    from saecli.core.resources import template_names, template_path
    from saecli.core.template import Template

    found = {name: Template.read(template_path(name), f"template {name}") for name in template_names()}
    if output.as_json:
        rows = [
            {"name": name, "description": one.description, "steps": [step.command for step in one.steps]}
            for name, one in found.items()
        ]
        output.document({"schema": "saecli.templates/1", "command": "run", "templates": rows})
        return 0
    width = max(map(len, found))
    for name, one in found.items():
        output.data(f"{name:<{width}}  {one.title}")
    output.say("Next: saecli run NAME --plan")
    return 0
