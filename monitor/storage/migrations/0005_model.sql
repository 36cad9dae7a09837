-- What the model says of each company that a headline names (by ticker, as far as it was asked), and what a headline
-- counts as in each of its series, in the order of `series`: for a company it is the sentiment towards the company.
ALTER TABLE scores ADD COLUMN towards VARCHAR[] DEFAULT [];
ALTER TABLE scores ADD COLUMN towards_negative FLOAT[] DEFAULT [];
ALTER TABLE scores ADD COLUMN towards_positive FLOAT[] DEFAULT [];
ALTER TABLE scores ADD COLUMN series_negative BOOLEAN[] DEFAULT [];
ALTER TABLE scores ADD COLUMN series_tone FLOAT[] DEFAULT [];
UPDATE scores SET
    series_negative = list_transform(series, lambda each: sentiment = 'negative' AND abstention = 'none'),
    series_tone = list_transform(series, lambda each: CASE WHEN abstention = 'none' THEN positive - negative ELSE 0 END);
