"""Sparse-autoencoder circuit research on language models."""

__version__ = "0.1.0"
