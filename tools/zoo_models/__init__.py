"""The zoo: well-known models, their operator lists, and a runtime for each."""
