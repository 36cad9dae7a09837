-- Who of a channel's recipients did not take a message that the others took.

-- Of what is left for one recipient: who it is, and the delivery by which the others have it. Else both are empty.
ALTER TABLE deliveries ADD COLUMN recipient VARCHAR DEFAULT '';
ALTER TABLE deliveries ADD COLUMN part_of VARCHAR DEFAULT '';
