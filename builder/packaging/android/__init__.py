"""The Android package: an AAR in a Maven repository, with all that Gradle and Play want beside it."""
