"""Deciding that something is happening, and telling people: windows, spikes, the alert's life, deliveries.

A leaf: it takes polars frames whose columns it declares, states what it must remember as small Protocols, and
never hears of SQL, feeds or models.
"""
