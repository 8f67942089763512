# Text for unit files (systemd.syntax(7)): "%" begins a specifier, blanks part words. Plain
# `builtins`.
let
  specifiers = builtins.replaceStrings [ "%" ] [ "%%" ];

  inQuotes =
    builtins.replaceStrings
      [ "\\" "\"" "\n" "\t" "\r" ]
      [ "\\\\" "\\\"" "\\x0a" "\\x09" "\\x0d" ];

  isPlain = text: builtins.match "[^[:space:]\"'\\;]+" text != null;
in
{
  # A word among others.
  word = text: if isPlain text then specifiers text else "\"${inQuotes (specifiers text)}\"";

  # All of a line.
  whole = specifiers;
}
