"""Prompts of a file, for a graph of many prompts: its own, or held-out ones of their kind."""

from __future__ import annotations

from pathlib import Path

from saecli.asking.flags import names_pairs
from saecli.asking.prompts import ask_many
from saecli.core.errors import InputError, UsageError
from saecli.core.inputs import hash_file
from saecli.core.manifest import read_manifest
from saecli.formats.graph_file import graph_path
from saecli.validate.circuit_input import Traced
from saecli.validate.circuit_prompts import Prompt
from saecli.validate.config import ValidateConfig


def asked_prompts(config: ValidateConfig, traced: Traced) -> list[Prompt]:
    """The first ``--sequences`` lines of ``--prompts``, with the graph's metric of each.

    Raises:
        InputError: A file that cannot be read, or prompts of other lengths than a graph with positions.
        UsageError: No file of JSON lines, or a metric that does not fit its answers.
    """
    path, graph = config.prompts or "", traced.graphs[0]
    if not names_pairs(path):
        raise UsageError(f"--prompts {path} is no file of JSON lines.", "Name a .jsonl file as of saecli trace.")
    questions = ask_many(
        traced.model,
        traced.model_name,
        path,
        metric=graph.metric.name,
        bos=traced.suite.info.bos,
        patches=False,
    )[: config.sequences]
    if not traced.everywhere:
        for question in questions:
            if len(question.tokens_S) != len(graph.positions):
                raise InputError(
                    f"{traced.names[0]} keeps {len(graph.positions)} positions, and --prompts {path} has a prompt of "
                    f"{len(question.tokens_S)} tokens.",
                    "Name prompts of that length.",
                )
    return [Prompt(question.tokens_S, question.metric) for question in questions]


def is_own(config: ValidateConfig, name: str) -> bool:
    """Whether ``--prompts`` is the file that a graph was traced on, as far as the graph's run tells."""
    manifest = read_manifest(graph_path(Path(name)).parent) or {}
    traced_on = (manifest.get("inputs") or {}).get("prompts") or {}
    return traced_on.get("sha256") == hash_file(Path(config.prompts or ""))
