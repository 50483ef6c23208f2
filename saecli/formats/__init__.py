"""One reader and writer per on-disk format."""
