# Text for unit files (systemd.syntax(7)): "%" begins a specifier, blanks part words. Plain
# `builtins`.
let
  specifiers = builtins.replaceStrings [ "%" ] [ "%%" ];

  inQuotes =
    builtins.replaceStrings
      [ "\\" "\"" "\n" "\t" "\r" ]
      [ "\\\\" "\\\"" "\\x0a" "\\x09" "\\x0d" ];

  isPlain = text: builtins.match "[^[:space:]\"'\\;]+" text != null;

  # A word among others.
  word = text: if isPlain text then specifiers text else "\"${inQuotes (specifiers text)}\"";
in
{
  inherit word;

  # A word of a command line, where "$" begins a variable.
  argument = text: word (builtins.replaceStrings [ "$" ] [ "$$" ] text);

  # All of a line.
  whole = specifiers;
}
