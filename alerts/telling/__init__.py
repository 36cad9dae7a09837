"""Who is told of a change, when, and why somebody is not: routes, silences, groups, digests, the watch itself. Pure."""
