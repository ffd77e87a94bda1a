"""The evening's report: `contents` gathers it, `words` and `markdown` tell it, `page` draws it as HTML. Knows no Textual."""
