-- Headlines that were moved into the archive: a feed that still carries one brings nothing new.
CREATE TABLE archived (
    headline UBIGINT NOT NULL
);

-- How large the store was, once a day: what a forecast stands on. `used` leaves free blocks of the file out.
CREATE TABLE sizes (
    day TIMESTAMPTZ NOT NULL,
    bytes BIGINT NOT NULL,
    used BIGINT NOT NULL,
    headlines BIGINT NOT NULL
);
