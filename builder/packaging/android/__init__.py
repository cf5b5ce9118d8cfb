"""The Android package: an AAR in a Maven repository, and what belongs beside it."""
