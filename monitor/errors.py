"""Everything that the monitor room raises.

    MonitorError
    ├── SettingsUnusable     settings cannot be read, or a key or value in them is wrong
    ├── FeedListUnusable     a feed list or OPML file cannot be understood
    ├── InputUnusable        a file given on the command line cannot be read as what it should be
    ├── StoreError
    │   ├── StoreLocked      another process holds the store
    │   ├── StoreTooNew      the store was written by a newer version
    │   ├── StoreDamaged     the file is no store, or broken
    │   └── StoreUnavailable the file cannot be created, read or written now (rights, full disk)
    │       └── StoreBusy    somebody reads, so that the log cannot be folded into the file now
    ├── DiskNearlyFull       there is no room for what would be fetched
    ├── ModelLost            the model's process died, or did not answer in time
    └── ServiceError         the read service refuses or does not answer
        └── ServiceSilent    it takes connections, and has not answered since a time

A dead feed is no error: it is a `Check` with an outcome and a reason.
"""

from __future__ import annotations

from datetime import datetime


class MonitorError(Exception):
    """The monitor cannot do what it was asked; the message names the thing and the way out."""


class SettingsUnusable(MonitorError):
    """Settings cannot be read, or hold something wrong."""


class FeedListUnusable(MonitorError):
    """A feed list or OPML file cannot be understood."""


class InputUnusable(MonitorError):
    """A file given by the user cannot be read as what it should be."""


class StoreError(MonitorError):
    """The store cannot be used."""


class StoreLocked(StoreError):
    """Another process holds the store."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of Squall."""


class StoreDamaged(StoreError):
    """The file is no Squall store, or it is broken."""


class StoreUnavailable(StoreError):
    """The file cannot be created, read or written at the moment."""


class StoreBusy(StoreUnavailable):
    """Somebody reads the store, so that its log cannot be folded into the file now."""


class ModelLost(MonitorError):
    """The process that runs the model died, or did not answer in time."""


class DiskNearlyFull(MonitorError):
    """There is no room for what would be fetched, or for folding the log into the file."""


class ServiceError(MonitorError):
    """The read service refuses, or does not answer."""


class ServiceSilent(ServiceError):
    """A daemon takes connections, and has not answered since then.

    Attributes:
        since: when the first question without an answer was asked; aware UTC.
    """

    def __init__(self, words: str, since: datetime) -> None:
        super().__init__(words)
        self.since = since
