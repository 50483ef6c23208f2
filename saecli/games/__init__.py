"""Rules of board games on vectorised bitboards. Knows nothing of models."""
