-- Who publishes, and what each series is made of; why an alert was raised.

-- Headlines of each publisher family by hour: all that count, and the negative ones. Every copy counts.
CREATE TABLE sources (
    publisher VARCHAR NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    headlines INTEGER NOT NULL,
    negative INTEGER NOT NULL
);

-- Negative headlines of each series by publisher family and day (UTC). Every copy counts.
CREATE TABLE affinities (
    series VARCHAR NOT NULL,
    publisher VARCHAR NOT NULL,
    day TIMESTAMPTZ NOT NULL,
    negative INTEGER NOT NULL
);

-- What detection found when an alert opened, fired or became graver: every test with its numbers, and the rules. For ever.
CREATE TABLE findings (
    series VARCHAR NOT NULL,
    "at" TIMESTAMPTZ NOT NULL,
    finding JSON NOT NULL
);

INSERT INTO sources
    SELECT h.publisher, date_trunc('hour', h.effective), count(*)::INTEGER,
        (count(*) FILTER (s.sentiment = 'negative' AND s.abstention = 'none'))::INTEGER
    FROM headlines h JOIN scores s ON s.headline = h.id
    WHERE h.standing NOT IN ('undated', 'future')
    GROUP BY ALL;

INSERT INTO affinities
    SELECT series, publisher, day, count(*)::INTEGER FROM (
        SELECT unnest(s.series) AS series, h.publisher, date_trunc('day', h.effective) AS day
        FROM headlines h JOIN scores s ON s.headline = h.id
        WHERE h.standing NOT IN ('undated', 'future') AND s.sentiment = 'negative' AND s.abstention = 'none'
    ) GROUP BY ALL;
