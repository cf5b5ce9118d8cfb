"""Reads `.pt2` files, which `torch.export.save` writes, without torch and without running code."""
