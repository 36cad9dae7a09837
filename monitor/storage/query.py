"""A question that may be asked of the store from outside.

takes  SQL with named parameters, and their types
gives  `Query`
never  holds a caller's value in the text of a statement
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

_KINDS: tuple[type, ...] = (str, int, bool, datetime)
RANGE: dict[str, type] = {"since": datetime, "until": datetime}


@dataclass(frozen=True, slots=True)
class Query:
    """One question that a reader may ask.

    Attributes:
        about: what it answers, in one sentence.
        sql: one SELECT in DuckDB's dialect; values stand in it as `$name`.
        params: the type of each parameter: str, int, bool or (aware) datetime.

    Raises:
        ValueError: when a parameter is of another type, or does not occur in the SQL.
    """

    about: str
    sql: str
    params: Mapping[str, type] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in self.params.items():
            if kind not in _KINDS:
                raise ValueError(f"parameter {name} must be str, int, bool or datetime, not {kind.__name__}")
            if f"${name}" not in self.sql:
                raise ValueError(f"parameter {name} does not occur in the query")

    def objection(self, values: Mapping[str, object]) -> str:
        """Why these values do not fit, in words; empty when they do."""
        if missing := sorted(self.params.keys() - values.keys()):
            return f"missing parameter: {', '.join(missing)}"
        if unknown := sorted(values.keys() - self.params.keys()):
            return f"unknown parameter: {', '.join(unknown)}"
        for name, kind in self.params.items():
            value = values[name]
            # type() rather than isinstance: True is an int to Python, but no limit.
            if type(value) is not kind:
                return f"parameter {name} must be {kind.__name__}, not {type(value).__name__}"
            if isinstance(value, datetime) and value.tzinfo is None:
                return f"parameter {name} must carry its time zone"
        return ""
