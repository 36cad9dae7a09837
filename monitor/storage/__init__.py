"""Storage: the DuckDB file, its tables and migrations, what is written in one transaction, and who may ask."""
