# The name of the unit that mounts a path (systemd.unit(5), "String Escaping"), for who has no NixOS, which
# has a function of its own for it.
{ lib, path }:

let
  text = lib.removePrefix "/" path;

  # All of ASCII that a name may not have, but for the slash.
  escaped = lib.strings.escapeC (lib.stringToCharacters " !\"#$%&'()*+,-;<=>?@[\\]^`{|}~") text;

  named = if lib.hasPrefix "." escaped then "\\x2e${lib.removePrefix "." escaped}" else escaped;
in
if text == "" then "-.mount" else lib.replaceStrings [ "/" ] [ "-" ] named + ".mount"
