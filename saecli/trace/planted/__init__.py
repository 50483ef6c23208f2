"""Circuits planted in small models, so that what a method finds can be compared with what is there."""
