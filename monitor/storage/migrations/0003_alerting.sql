-- What people ask of alerts, and why something was not sent.

-- When news was seen again after the last time that nothing was.
ALTER TABLE alerts ADD COLUMN sighted_at TIMESTAMPTZ;

-- While a delivery is held back: which others it will be sent with. Once it is: the delivery that holds them all.
ALTER TABLE deliveries ADD COLUMN bundle VARCHAR DEFAULT '';

-- Series whose notices nobody wants for a while. Ended early, a silence keeps its row.
CREATE TABLE silences (
    id VARCHAR PRIMARY KEY,
    pattern VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    who VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    ended_at TIMESTAMPTZ
);

-- What people said about an alert: acknowledged, note, assigned, true, false. Never changed, only added to.
CREATE TABLE remarks (
    alert VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    who VARCHAR NOT NULL,
    what VARCHAR NOT NULL,
    words VARCHAR NOT NULL
);

-- Every notice that was not sent, or not at once, with the reason. `channel` is empty when no channel was asked for.
CREATE TABLE decisions (
    alert VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    notice VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    choice VARCHAR NOT NULL,
    words VARCHAR NOT NULL
);

-- How Squall itself is doing, as far as people are told of it: channels, sight, stages. One row a subject.
CREATE TABLE conditions (
    subject VARCHAR PRIMARY KEY,
    state VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    reason VARCHAR NOT NULL,
    told_at TIMESTAMPTZ,
    endpoint VARCHAR NOT NULL
);
