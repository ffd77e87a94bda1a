"""The command line: a generator of lines for each command. Knows no Textual."""
