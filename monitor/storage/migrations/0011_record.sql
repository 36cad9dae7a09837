-- In which order things happened, whatever the clock said, and who of several took a message.

-- Its place in the record: rises with each transaction that adds to it; null of what was there before.
ALTER TABLE changes ADD COLUMN place BIGINT;
ALTER TABLE deliveries ADD COLUMN place BIGINT;
ALTER TABLE decisions ADD COLUMN place BIGINT;
ALTER TABLE remarks ADD COLUMN place BIGINT;
-- An attempt's is that of its beginning.
ALTER TABLE attempts ADD COLUMN place BIGINT;

-- The recipients for whom the receiver took the message; null where a channel leads to one place.
ALTER TABLE attempts ADD COLUMN taken_by VARCHAR[];
