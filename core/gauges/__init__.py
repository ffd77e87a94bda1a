"""Measures of a text, and of a text against the examples: numbers and the words that say them. Pure, standard library only."""
