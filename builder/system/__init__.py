"""The only place with processes, network and environment."""
