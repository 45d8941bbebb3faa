"""New labels for pairs of responses, by a language model that judges (DPL paper, appendix C)."""
