-- What Squall remembers. Times are UTC instants; ids are 64-bit hashes; no secondary indexes: tables are
-- appended in order of time, so DuckDB's zone maps prune by `effective`.

CREATE TABLE meta (
    key VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);

-- One row a feed: what the poller must remember between two checks.
CREATE TABLE feeds (
    feed VARCHAR PRIMARY KEY,
    url VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    publisher VARCHAR NOT NULL,
    etag VARCHAR,
    last_modified VARCHAR,
    added_at TIMESTAMPTZ NOT NULL,
    first_success_at TIMESTAMPTZ,
    last_check_at TIMESTAMPTZ,
    last_success_at TIMESTAMPTZ,
    last_entry_at TIMESTAMPTZ,
    next_check_at TIMESTAMPTZ,
    failures INTEGER NOT NULL DEFAULT 0,
    outcome VARCHAR,
    reason VARCHAR
);

-- One row a check of a feed, kept for some weeks.
CREATE TABLE checks (
    feed VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    outcome VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    status INTEGER,
    entries INTEGER NOT NULL,
    fresh INTEGER NOT NULL,
    bytes BIGINT NOT NULL,
    millis INTEGER NOT NULL
);

CREATE TABLE headlines (
    id UBIGINT PRIMARY KEY,
    feed VARCHAR NOT NULL,
    publisher VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    summary VARCHAR NOT NULL,
    link VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    published TIMESTAMPTZ,
    fetched TIMESTAMPTZ NOT NULL,
    effective TIMESTAMPTZ NOT NULL,
    standing VARCHAR NOT NULL,
    story UBIGINT NOT NULL,
    companies VARCHAR[] NOT NULL
);

-- Written beside the headline in one transaction, or later when the scorer was away.
CREATE TABLE scores (
    headline UBIGINT PRIMARY KEY,
    effective TIMESTAMPTZ NOT NULL,
    model VARCHAR NOT NULL,
    negative FLOAT NOT NULL,
    neutral FLOAT NOT NULL,
    positive FLOAT NOT NULL,
    sentiment VARCHAR NOT NULL,
    abstention VARCHAR NOT NULL,
    topics VARCHAR[] NOT NULL,
    topic_probabilities FLOAT[] NOT NULL,
    themes VARCHAR[] NOT NULL,
    series VARCHAR[] NOT NULL
);

-- What is watched, and since when.
CREATE TABLE series (
    series VARCHAR PRIMARY KEY,
    since TIMESTAMPTZ NOT NULL
);

-- Headlines that no model has scored yet: they join the counts when their score arrives.
CREATE TABLE awaiting (
    headline UBIGINT NOT NULL
);

-- One row per series and story: its earliest headline and tone, when it was first negative, whether any of its headlines
-- may alert, and the publisher families that carry it in order of arrival. Kept a few days after its last change.
CREATE TABLE sightings (
    series VARCHAR NOT NULL,
    story UBIGINT NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    headline UBIGINT NOT NULL,
    tone DOUBLE NOT NULL,
    negative_at TIMESTAMPTZ,
    fresh BOOLEAN NOT NULL,
    publishers VARCHAR[] NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL
);

-- Distinct stories per series and hour, for ever. A story counts once in a series: in the hour of its first headline
-- (stories; tone is their sum) and in the hour of its first negative headline (negative). `headlines` counts copies.
CREATE TABLE rollups (
    series VARCHAR NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    headlines INTEGER NOT NULL,
    stories INTEGER NOT NULL,
    negative INTEGER NOT NULL,
    tone DOUBLE NOT NULL
);

CREATE TABLE alerts (
    id VARCHAR PRIMARY KEY,
    series VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    fired_at TIMESTAMPTZ,
    last_spike_at TIMESTAMPTZ NOT NULL,
    resolved_at TIMESTAMPTZ,
    hours INTEGER NOT NULL,
    observed INTEGER NOT NULL,
    expected DOUBLE NOT NULL,
    p_value DOUBLE NOT NULL,
    peak_observed INTEGER NOT NULL,
    peak_expected DOUBLE NOT NULL,
    peak_p_value DOUBLE NOT NULL,
    peak_at TIMESTAMPTZ NOT NULL,
    evidence JSON NOT NULL
);

-- The audit trail: every change of an alert with its reason.
CREATE TABLE changes (
    alert VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    reason VARCHAR NOT NULL,
    state_before VARCHAR NOT NULL,
    state_after VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    observed INTEGER NOT NULL,
    expected DOUBLE NOT NULL,
    p_value DOUBLE NOT NULL
);

-- The outbox: written in one transaction with the change that it tells of.
CREATE TABLE deliveries (
    id VARCHAR PRIMARY KEY,
    alert VARCHAR,
    reason VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    outcome VARCHAR NOT NULL DEFAULT '',
    payload JSON NOT NULL
);

CREATE TABLE attempts (
    delivery VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    outcome VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    millis INTEGER NOT NULL
);
