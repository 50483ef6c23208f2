"""``saecli validate``: finds out what is validated, and has it measured."""

from __future__ import annotations

from saecli.core.errors import UsageError
from saecli.core.progress import Progress
from saecli.core.result import Result
from saecli.core.run import Run
from saecli.validate.circuits import plan_circuits, validate_circuits
from saecli.validate.config import ValidateConfig
from saecli.validate.connected import plan_connected, validate_connected
from saecli.validate.edge_curves import plan_edges, validate_edges
from saecli.validate.intervention import plan_intervention, validate_intervention
from saecli.validate.joint import plan_joint, validate_joint
from saecli.validate.subject import Subject, subject_of
from saecli.validate.suites import plan_suites, validate_suites


def plan(config: ValidateConfig) -> list[str]:
    """What ``--plan`` prints."""
    subject = _subject(config)
    if config.set:
        return plan_intervention(config, subject)
    if config.connections is not None:
        return plan_connected(config, subject.names[0])
    if config.edges:
        return plan_edges(config, subject.names)
    if subject.kind == "graphs":
        return plan_circuits(config, subject.names)
    if subject.kind == "features":
        return plan_joint(config, subject)
    return plan_suites(config, subject.names)


def run(config: ValidateConfig, run: Run, progress: Progress) -> Result:
    """Measure what the arguments are.

    Raises:
        UsageError, InputError: Arguments or flags that do not fit together, or what cannot be measured.
    """
    subject = _subject(config)
    run.record(subject=subject.kind)
    if config.set:
        return validate_intervention(config, subject, run, progress)
    if config.connections is not None:
        return validate_connected(config, subject.names[0], run, progress)
    if config.edges:
        return validate_edges(config, subject.names, run, progress)
    if subject.kind == "graphs":
        return validate_circuits(config, subject.names, run, progress)
    if subject.kind == "features":
        return validate_joint(config, subject, run, progress)
    return validate_suites(config, subject.names, run, progress)


def _subject(config: ValidateConfig) -> Subject:
    subject = subject_of(config.suite, config.features)
    if subject.kind != "graphs" and config.min_faithfulness is not None:
        raise UsageError("--min-faithfulness is asked of a circuit graph.", "Name a graph.json; of suites, --require.")
    if subject.kind != "graphs" and config.prompts is not None:
        raise UsageError("--prompts is of a circuit graph of many prompts.", "Name a graph.json.")
    if config.choose is not None and (subject.kind != "suites" or len(subject.names) < 2 or config.edges or config.set):
        raise UsageError("--choose is between several suites as wholes.", "Name two suites or more, without --edges.")
    if subject.kind != "suites" and config.require:
        raise UsageError("--require is asked of suites.", "Of a graph, --min-faithfulness.")
    if subject.kind == "graphs" and (config.layers != ":" or config.kind):
        raise UsageError("A graph has the sites that it was traced with.", "Leave out --layers and --kind.")
    pruned = config.connections is not None or bool(config.edges)
    if pruned and (subject.kind != "suites" or config.set):
        raise UsageError(f"--{'edges' if config.edges else 'connections'} are those of suites.", "Name a suite.")
    if config.connections is not None and len(subject.names) > 1:
        raise UsageError("--connections are those of one suite.", "Name that suite, and nothing else.")
    if pruned and (config.layers != ":" or config.kind or config.require):
        flag = "edges" if config.edges else "connections"
        raise UsageError(f"--{flag} take suites as wholes.", "Leave out --layers, --kind and --require.")
    if config.half != "all" and (config.set or config.prompts is not None):
        raise UsageError("--half is of held-out sequences, and one's own prompts are read here.", "Leave it out.")
    if config.set and len(subject.names) > 1:
        raise UsageError("--set changes features of one suite, or of one graph.", "Name one.")
    if subject.kind == "graphs":
        for name in ("prompt", "game", "at", "target", "metric"):
            if getattr(config, name) not in (None, "auto"):
                raise UsageError("A graph has its own input, target and metric.", f"Leave out --{name}.")
    return subject
