"""Token sources for training and evaluation."""
