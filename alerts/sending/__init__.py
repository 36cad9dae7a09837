"""The outbox, and the channels that empty it: what is sent, where to, and what came of each attempt."""
