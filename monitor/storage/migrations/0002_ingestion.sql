-- What a feed taught us, what it asked for, and what names its headlines go by.

ALTER TABLE feeds ADD COLUMN body UBIGINT;                    -- hash of the last full answer
ALTER TABLE feeds ADD COLUMN millis INTEGER;                  -- how long a check takes, smoothed
ALTER TABLE feeds ADD COLUMN ttl_seconds BIGINT;              -- RSS ttl
ALTER TABLE feeds ADD COLUMN pace VARCHAR;                    -- why the next check is when it is
ALTER TABLE feeds ADD COLUMN dates VARCHAR;                   -- what its dates are worth
ALTER TABLE feeds ADD COLUMN newest_at TIMESTAMPTZ;           -- latest credible date that it published
ALTER TABLE feeds ADD COLUMN gap_seconds DOUBLE;              -- between two of its headlines, usually
ALTER TABLE feeds ADD COLUMN longest_gap_seconds DOUBLE;      -- and at most
ALTER TABLE feeds ADD COLUMN guids VARCHAR;                   -- whether its guids last
ALTER TABLE feeds ADD COLUMN moved_to VARCHAR;                -- where permanent redirects lead
ALTER TABLE feeds ADD COLUMN moved_since TIMESTAMPTZ;
ALTER TABLE feeds ADD COLUMN moved_seen INTEGER DEFAULT 0;
ALTER TABLE feeds ADD COLUMN retry_at TIMESTAMPTZ;            -- until when its server asked to be left alone
ALTER TABLE feeds ADD COLUMN muted_at TIMESTAMPTZ;            -- when it said that it is gone for good
ALTER TABLE feeds ADD COLUMN paused_at TIMESTAMPTZ;           -- since when it is not watched

-- By which names a headline is known, as 64-bit hashes: its guid, its link, its title, each with the feed or house
-- that it is a name in. Kept some weeks after the headline came.
CREATE TABLE names (
    name UBIGINT NOT NULL,
    headline UBIGINT NOT NULL,
    "at" TIMESTAMPTZ NOT NULL
);

-- Titles that a headline was given after it was stored. The headline keeps the one that it came with.
CREATE TABLE revisions (
    headline UBIGINT NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    feed VARCHAR NOT NULL,
    title VARCHAR NOT NULL
);
