"""Many prompts from data or from games in a PGN file: each up to one position, and what the model would go on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from saecli.asking.flags import SEQUENCES, SEQUENCES_AT
from saecli.asking.inputs import Input, Reader
from saecli.asking.question import Question, device_of, open_reader
from saecli.asking.target import token_metric
from saecli.asking.text import ChessReader
from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.suite import Suite
from saecli.data.names import GAMES

_SPARE: Final = 2
"""So many times the sequences are read of games, of which some are over, or leave nothing to compare with."""


def ask_sequences(
    model: HookedModel,
    name: str,
    source: str,
    suite: Suite,
    *,
    wanted: int | None = None,
    at: int | None = None,
    metric: str = "auto",
    progress: Progress = silent,
) -> list[Question]:
    """Questions about sequences: why the model's own choice? With ``ce``: why the token that follows?

    Args:
        model: The model.
        name: As the user named it.
        source: A PGN file, or what ``--data`` may say.
        suite: Dictionaries, whose sequences begin as these do.
        wanted: How many; all games of a file, and :data:`SEQUENCES` of data, if None.
        at: The position that is explained; if None, the end of a file's game, and :data:`SEQUENCES_AT` of data.
        metric: ``--metric``.
        progress: Told what is made.

    Raises:
        UsageError: No such data, or a metric that does not fit.
        InputError: They cannot be read, or fewer than wanted reach that position.
    """
    reader = open_reader(model, name, suite.info.bos)
    if source.lower().endswith(".pgn"):
        rows = _of_pgn(Path(source), reader, at)
    else:
        at = SEQUENCES_AT if at is None else at
        wanted = SEQUENCES if wanted is None else wanted
        rows = _of_data(model, name, source, suite, reader, at, wanted, progress)
    found: list[Question] = []
    refused: UsageError | InputError | None = None
    for given, following in rows:
        try:
            found.append(_question(model, reader, given, following, metric))
        except InputError as error:
            refused = error
        if len(found) == wanted:
            break
    if not found and refused is not None:
        raise refused
    if len(found) < (wanted or 1):
        where = "" if at is None else f" that go on behind position {at}"
        raise InputError(
            f"--prompts {source} has {len(found)} sequences{where}, and {wanted or 1} were asked for.",
            "Ask for fewer, or for an earlier --at.",
        )
    return found


def _question(model: HookedModel, reader: Reader, given: Input, following: int | None, metric: str) -> Question:
    tokens_S = torch.tensor(given.tokens, dtype=torch.int64, device=device_of(model))
    answers = reader.answers(given)
    if isinstance(answers.others, str) and metric in ("auto", answers.over):
        raise InputError(answers.others)
    if metric == "ce" and following is not None:
        answers = replace(answers, best=lambda _: following)
    with torch.no_grad():
        logits = model.run(tokens_S[None]).logits
    assert logits is not None  # noqa: S101 (nothing stopped the run)
    measured = token_metric(None, metric, len(given.tokens) - 1, logits[0, -1].cpu(), answers)
    return Question(tokens_S, given.positions, measured)


def _of_data(
    model: HookedModel,
    name: str,
    source: str,
    suite: Suite,
    reader: Reader,
    at: int,
    wanted: int,
    progress: Progress,
) -> Iterator[tuple[Input, int | None]]:
    from zoo.load import load_vocabulary
    from zoo.reading import read_sequences

    if not 0 <= at < model.info.n_ctx:
        raise UsageError(f"--at {at}: {model.info.name} reads positions 0..{model.info.n_ctx - 1}.")
    _, read = read_sequences(
        name,
        [suite],
        model.info,
        load_vocabulary(name, model.info.vocabulary),
        data=source,
        sequences=wanted * (_SPARE if source in GAMES else 1),
        usual_tokens=0,
        n_ctx=0 if source in GAMES else min(at + 2, model.info.n_ctx),
        pack=None,
        progress=progress,
    )
    for tokens_S, length in zip(read.tokens_BS.tolist(), read.lengths_B.tolist(), strict=True):
        if length > at:
            following = tokens_S[at + 1] if length > at + 1 else None
            yield reader.of_tokens(tokens_S[: at + 1], f"--prompts {source}"), following


def _of_pgn(path: Path, reader: Reader, at: int | None) -> Iterator[tuple[Input, int | None]]:
    from saecli.games.pgn import games_of

    if reader.info.vocabulary != "chess":
        raise UsageError(
            f"{path} has games of chess, and {reader.info.name} does not read them.", "Name other --prompts."
        )
    try:
        games: Sequence[str] = games_of(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        raise InputError(f"--prompts {path} cannot be read: {error}.") from error
    assert isinstance(reader, ChessReader)  # noqa: S101 (of that vocabulary)
    for number, game in enumerate(games):
        where = f"--prompts {path}, game {number + 1}"
        tokens = reader.encode(game, where)
        room = min(len(tokens), reader.info.n_ctx)
        end = room - 1 if at is None else at + (len(tokens) if at < 0 else 0)
        if 0 <= end < room:
            following = tokens[end + 1] if end + 1 < len(tokens) else None
            yield reader.of_tokens(tokens[: end + 1], where), following
