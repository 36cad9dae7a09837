-- Which stretches of which archive were taken in: written in one transaction with the rows, so that a backfill that is
-- cut off goes on where it was. `rows` were read, `kept` of them were new headlines. For ever.
CREATE TABLE backfills (
    archive VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    rows BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    "at" TIMESTAMPTZ NOT NULL
);
