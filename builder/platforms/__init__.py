"""What is about one platform, a folder for each; `registry` lists them."""
