"""Who refers to what in Mach-O images, and how large their parts are."""
