"""A checkpoint in the forms that other programs read: a PEFT folder, a merged 16-bit model, GGUF. Each export is a process of its own
(`python -m core.exports`); what needs no model loaded imports no torch."""
