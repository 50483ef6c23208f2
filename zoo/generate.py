"""Data sets that are made on the spot: random games, and the source of Python's standard library, as token shards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from saecli.core.errors import InputError
from saecli.core.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from saecli.data.shard_writer import ShardWriter
    from saecli.data.shards import Split

GENERATE: Final = "generate:"
_PER_CALL: Final = 10_000


class Generator(ABC):
    """What a source ``generate:NAME`` makes.

    Attributes:
        recipe: Everything that decides the tokens, as ``shards.json`` records it.
        quick: It takes seconds, so it is made as soon as it is needed.
    """

    recipe: dict[str, Any]
    quick: ClassVar[bool] = False

    @abstractmethod
    def write(self, writer: ShardWriter, progress: Progress) -> None:
        """Add every document to a writer."""


class Games(Generator):
    """Random games: the training games have seeds from 0, the held-out ones seeds that no training run uses."""

    counts: ClassVar[dict[Split, int]]
    name: ClassVar[str]

    def __init__(self) -> None:
        self.recipe = {"generator": self.name, "games": dict(self.counts), "split": "seeds"}

    def write(self, writer: ShardWriter, progress: Progress) -> None:
        import numpy as np

        from saecli.data.games import HELD_OUT_SEED

        done, total = 0, sum(self.counts.values())
        for split, number in self.counts.items():
            for start in range(0, number, _PER_CALL):
                count = min(_PER_CALL, number - start)
                tokens, lengths_P = self.play(count, start // _PER_CALL + (HELD_OUT_SEED if split == "val" else 0))
                writer.add(split, tokens, lengths_P, np.ones(count, bool))
                done += count
                progress("generating games", done, total)

    @abstractmethod
    def play(self, count: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Tokens of some games one after the other, and how many each has."""


class Othello(Games):
    """Whole games: 61 million tokens, 120 MB."""

    name = "othello"
    counts: ClassVar[dict[Split, int]] = {"train": 1_000_000, "val": 10_000}

    def play(self, count: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        import numpy as np

        from saecli.games import othello

        games = othello.random_games(count, seed)
        return games.tokens()[np.arange(othello.MAX_MOVES) < games.lengths[:, None]], games.lengths


class Chess(Games):
    """Transcripts in ChessGPT's characters, cut at 256: 52 million tokens, 105 MB."""

    name = "chess"
    counts: ClassVar[dict[Split, int]] = {"train": 200_000, "val": 5_000}
    characters: ClassVar[int] = 256

    def __init__(self) -> None:
        super().__init__()
        self.recipe["characters"] = self.characters

    def play(self, count: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        import numpy as np

        from saecli.games import chess, chess_text

        texts = chess.random_games(count, seed, self.characters).texts
        lengths_P = np.array([len(text) for text in texts], dtype=np.int64)
        return np.asarray(chess_text.encode("".join(texts))), lengths_P


class PythonSource(Generator):
    """The standard library's source, a document per file; other characters than ASCII become ``?``."""

    quick = True

    def __init__(self) -> None:
        from saecli.data.python_source import digest, modules

        self._modules = modules()
        self.recipe = {"generator": "python", "split": "packages", "sha256": digest(self._modules)}

    def write(self, writer: ShardWriter, progress: Progress) -> None:
        import numpy as np

        from saecli.data.shards import SPLITS

        done = 0
        for split in SPLITS:
            for module in self._modules:
                if module.split != split:
                    continue
                ids_T = np.frombuffer(module.text.encode("ascii", "replace"), dtype=np.uint8)
                writer.add(split, ids_T, np.array([len(ids_T)]), np.ones(1, bool))
                done += 1
                progress("reading modules", done, len(self._modules))


GENERATORS: Final[dict[str, type[Generator]]] = {"othello": Othello, "chess": Chess, "python": PythonSource}
"""What may follow ``generate:``."""


def generator(source: str) -> Generator:
    """The generator of a source; raises InputError if there is none."""
    name = source.removeprefix(GENERATE)
    if name not in GENERATORS:
        raise InputError(f"Nothing here generates {source!r}.")
    return GENERATORS[name]()
