"""Files of prompt pairs: JSON lines with ``clean_prefix`` and ``clean_answer``, and perhaps ``patch_prefix`` and
``patch_answer``, as of feature-circuits (https://github.com/saprmarks/feature-circuits); other keys are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from saecli.asking.question import Question, device_of, open_reader
from saecli.asking.target import token_metric
from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel


@dataclass(frozen=True)
class Pair:
    """One line of the file.

    Attributes:
        where: The file and line, for messages.
        clean, answer: The prompt and the token that should follow.
        patch, other: The counterfactual prompt and the token that should follow there; empty without.
    """

    where: str
    clean: str
    answer: str
    patch: str = ""
    other: str = ""


def read_pairs(path: Path, wanted: int | None = None) -> list[Pair]:
    """The first pairs of a file.

    Args:
        path: The file.
        wanted: How many; all if None.

    Raises:
        InputError: Missing, no JSON lines, a line without prompt or answer, or fewer than wanted.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompts {path} cannot be read: {error}.") from error
    pairs = [_pair(line, f"{path}, line {n + 1}") for n, line in enumerate(lines) if line.strip()]
    if len(pairs) < (wanted or 1):
        there = f"{len(pairs)} prompts, and {wanted} were asked for" if wanted else "no prompts"
        raise InputError(f"--prompts {path} has {there}.")
    pairs = pairs[:wanted]
    for pair in pairs:
        for name, one, first in (("patch_prefix", pair.patch, pairs[0].patch), ("answer", pair.other, pairs[0].other)):
            if bool(one) != bool(first):
                key = "patch_answer" if name == "answer" else name
                raise InputError(f"{pair.where}: {key} stands in some lines only.", "Give it in all or in none.")
    return pairs


def _pair(line: str, where: str) -> Pair:
    try:
        found: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is no JSON: {error}.") from error
    if not isinstance(found, Mapping):
        raise InputError(f"{where} is no JSON object.")
    texts = {}
    for key in ("clean_prefix", "clean_answer", "patch_prefix", "patch_answer"):
        texts[key] = found.get(key, "")
        if not isinstance(texts[key], str) or (key.startswith("clean") and not texts[key]):
            raise InputError(f"{where}: {key} should be a text, not {found.get(key)!r}.")
    return Pair(where, texts["clean_prefix"], texts["clean_answer"], texts["patch_prefix"], texts["patch_answer"])


def ask_many(
    model: HookedModel,
    name: str,
    path: str,
    *,
    wanted: int | None = None,
    metric: str = "auto",
    bos: int | None = None,
    patches: bool = True,
) -> list[Question]:
    """The questions of ``--prompts``: why the clean answer, rather than the patch answer if there is one?

    Args:
        model: The model.
        name: As the user named it.
        path: The file.
        wanted: How many lines of it; all if None.
        metric: ``--metric``.
        bos: Token that the dictionaries' sequences began with.
        patches: Whether counterfactuals are read.

    Raises:
        InputError: A line that cannot be read, or a patch of another length.
        UsageError: An answer that is no token, or a metric that does not fit.
    """
    reader = open_reader(model, name, bos)
    device = device_of(model)
    out = []
    for pair in read_pairs(Path(path), wanted):
        given = reader.read(pair.clean, f"{pair.where}: clean_prefix")
        patch_S = None
        if pair.patch and patches:
            patch = reader.read(pair.patch, f"{pair.where}: patch_prefix")
            if len(patch.tokens) != len(given.tokens):
                raise InputError(
                    f"{pair.where}: patch_prefix has {len(patch.tokens)} {reader.unit}, and clean_prefix has "
                    f"{len(given.tokens)}.",
                    "Keep pairs of equal length only.",
                )
            patch_S = torch.tensor(patch.tokens, dtype=torch.int64, device=device)
        tokens_S = torch.tensor(given.tokens, dtype=torch.int64, device=device)
        with torch.no_grad():
            logits_V = model.run(tokens_S[None]).logits
        assert logits_V is not None  # noqa: S101 (nothing stopped the run)
        answers = replace(reader.answers(given), split=_both(pair, metric))
        try:
            measured = token_metric(pair.answer, metric, len(given.tokens) - 1, logits_V[0, -1].cpu(), answers)
        except UsageError as error:
            raise UsageError(f"{pair.where}: {error.message}", error.hint) from error
        out.append(Question(tokens_S, given.positions, measured, patch_S))
    return out


def require_one_length(source: str, questions: Sequence[Question]) -> None:
    """Refuse prompts whose positions do not correspond.

    Raises:
        InputError: They have several lengths.
    """
    lengths = sorted({len(question.tokens_S) for question in questions})
    if len(lengths) > 1:
        raise InputError(
            f"--prompts {source} has prompts of {lengths[0]} to {lengths[-1]} tokens, so positions do not correspond.",
            "Use --aggregate sum, or a file of prompts of one length.",
        )


def _both(pair: Pair, metric: str) -> Callable[[str], tuple[str, str]]:
    other = pair.other if metric in ("auto", "logit-diff") else ""
    return lambda _: (pair.answer, other)
