"""From counts to a verdict: what is usual in a series, and whether the last hours are more than that.

All of it is pure: frames of counts and `now` in, windows and spikes out. Its sources are in docs/detection.md.
"""
