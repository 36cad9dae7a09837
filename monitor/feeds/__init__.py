"""Feeds: lists of them, asking them politely and safely, and the entries in what they answer."""
