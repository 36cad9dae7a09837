"""Headline text in, probabilities out: the room of the encoder, its adapters, training and evaluation.

A leaf: it never hears of feeds, stores or alerts. Importing it imports neither torch nor transformers; the
modules that need them (`scorer`, `training`) do.
"""
