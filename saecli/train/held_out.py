"""Games to measure dictionaries on: held-out ones, and training-side ones for means and principal components."""

from __future__ import annotations

from saecli.core.fidelity import Sample
from saecli.data.games import game_batch, held_out_games, legal_tokens
from saecli.games.othello import Games, random_games

_TRAINING_SIDE_SEED = (1 << 62) - 1
_BATCH = 64


def othello_samples(games: int, *, training_side: bool = False, shift: int = 0) -> list[Sample]:
    """Random Othello games with their legal moves as the allowed tokens.

    Args:
        games: How many.
        training_side: Games for fitting, other than the held-out ones.
        shift: Another value gives other held-out games.
    """
    played = random_games(games, _TRAINING_SIDE_SEED) if training_side else held_out_games(games, shift)
    samples = []
    for start in range(0, games, _BATCH):
        part = slice(start, start + _BATCH)
        batch = game_batch(Games(played.moves[part], played.legal[part]))
        samples.append(Sample(batch.tokens_BS, batch.next_BS, legal_tokens(played.legal[part][:, 1:])))
    return samples
