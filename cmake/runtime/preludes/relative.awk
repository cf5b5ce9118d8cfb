# Makes paths below the folder $HERE relative in a list of dependencies that a compiler wrote: headers that were
# compiled ahead are listed with absolute paths, and caches are moved.
BEGIN {
  here = ENVIRON["HERE"] "/"
  # Compilers write `\ ` for a space, `\#` for `#` and `$$` for `$`.
  gsub(/[ #]/, "\\\\&", here)
  gsub(/[$]/, "$$", here)
}
{
  while ((at = index($0, here)) > 0) {
    $0 = substr($0, 1, at - 1) substr($0, at + length(here))
  }
  print
}
