-- In which titles a word stands, and which name a company: what search over ten million headlines looks up.

-- Words of a title: runs of letters and digits, in small letters and without accents, each once, cut to 40 characters.
CREATE MACRO words_of(title) AS list_distinct(list_transform(
    list_filter(regexp_split_to_array(lower(strip_accents(title)), '[^\pL\pN]+'), lambda word: word <> ''),
    lambda word: left(word, 40)
));

-- What a headline is found by: its words, and `$jpm` for each company that is linked to it.
CREATE MACRO findable(title, companies) AS
    list_concat(words_of(title), list_transform(companies, lambda ticker: '$' || lower(ticker)));

-- Written beside the headline. Upkeep moves them over to `words` once they are many, so that few rows are unsorted.
CREATE TABLE recent_words (
    word VARCHAR NOT NULL,
    effective TIMESTAMPTZ NOT NULL,
    headline UBIGINT NOT NULL
);

-- Runs of rows in order of word and time: zone maps leave one or two row groups of each run to look at.
CREATE TABLE words (
    word VARCHAR NOT NULL,
    effective TIMESTAMPTZ NOT NULL,
    headline UBIGINT NOT NULL
);

INSERT INTO words
    SELECT unnest(findable(title, companies)) AS word, effective, id FROM headlines ORDER BY word, effective, id;
