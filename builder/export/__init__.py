"""The only place that imports torch: trace, script, optimise, save, record references."""
