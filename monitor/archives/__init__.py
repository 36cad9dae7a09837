"""Archives of headlines: scored on one machine or many, and taken into the store."""
