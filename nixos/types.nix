# The types of the options: as strict as the JSON Schema and the rules of `backup check`, so that a
# wrong value is an evaluation error that names the option. Needs only lib.
#
# What takes a grammar to judge (calendar expressions, exclude patterns) or several options at once
# is left to the program, which checks the finished file when the system is built.
{ lib }:

let
  inherit (lib) types;

  # A type that a regular expression does not tell, with words for the error message.
  checked =
    description: base: check:
    types.addCheck base check // { inherit description; };

  matching =
    description: regex: checked description types.str (text: builtins.match regex text != null);

  blank = "[ \t\n\r]";
  number = "[+]?[0-9]+([.][0-9]+)?|[.][0-9]+";
  unit = lib.concatStringsSep "|" [
    "y|years?"
    "M|months?"
    "w|weeks?"
    "d|days?"
    "h|hr|hours?"
    "m|min|minutes?"
    "s|sec|seconds?"
    "ms|msec"
    "us|µs|μs|usec"
  ];

  # Path literals become their own text: interpolated or put into JSON they would be copied to the
  # store, for everybody to read. A path has one spelling, as in the program.
  path =
    description: check:
    let
      isPath =
        text: builtins.match "/.*" text != null && builtins.match "/(.*/)?[.][.]?(/.*)?" text == null;
      final = checked description types.str (text: isPath text && check text);
      spell = path: "/" + lib.concatStringsSep "/" (parts (toString path));
      parts = text: lib.filter (part: part != "") (lib.splitString "/" text);
    in
    types.coercedTo types.path spell final // { inherit description; };
in
rec {
  absolutePath = path "absolute path without `.` or `..`" (_: true);

  # As `backup check` has it; a name without its `.service` or with it.
  drillCheck =
    let
      name = "[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*";
      other = ".*[.](automount|device|mount|path|scope|slice|socket|swap|target|timer)([.]service)?|.*@([.]service)?";
      isService =
        text:
        builtins.match "service:${name}" text != null
        && builtins.match other text == null
        && builtins.stringLength text <= 263;
      service =
        checked "service: and the name of a service such as service:postgresql" types.str
          isService;
    in
    types.either service absolutePath;

  # What holds a secret, and must not stand where everybody may read it.
  secretPath = path "absolute path of a file outside of the Nix store, which everybody may read" (
    text: !lib.hasPrefix builtins.storeDir text
  );

  # systemd.time(7), "Parsing time spans"; `infinity` is not one here.
  span = matching "time span such as 90s, 10m, 1h or 2d" "${blank}*((${number})${blank}*(${unit})?${blank}*)+";

  timeOfDay = matching "time of day as HH:MM, from 00:00 to 23:59" "([01][0-9]|2[0-3]):[0-5][0-9]";

  # It becomes a line of a unit file.
  calendar = matching "systemd calendar expression such as daily or Mon,Wed,Fri (one line)" "[^\n\r]+";

  subset = checked "share such as 1/30, with 1 ≤ n ≤ t" types.str (
    text:
    let
      parts = builtins.match "0*([0-9]{1,10})/0*([0-9]{1,10})" text;
      part = lib.toIntBase10 (builtins.elemAt parts 0);
      of = lib.toIntBase10 (builtins.elemAt parts 1);
    in
    parts != null && 1 <= part && part <= of && of <= 4294967295
  );

  maxDelete = types.either types.ints.unsigned (
    matching "percentage such as 5% or a count" "0*([0-9]|[1-9][0-9]|100)%|[0-9]{1,18}"
  );

  # The name of one folder.
  folderName = checked "name of one folder, not beginning with a dot" types.str (
    text: builtins.match "[^./[:cntrl:]][^/[:cntrl:]]*" text != null && builtins.stringLength text <= 255
  );

  # What `lsblk -o UUID` prints, whatever the file system.
  fileSystemUUID = matching "UUID: hexadecimal digits and dashes" "[0-9a-fA-F-]*[0-9a-fA-F][0-9a-fA-F-]*";

  # A name that starts with a dash would be read as an option of rclone.
  remote = matching "rclone remote, `name:` or `name:path`" "[^-/: [:cntrl:]][^/:[:cntrl:]]*:.*";

  remotePath = checked "path on the remote, without `..`" types.str (
    text: !lib.elem ".." (lib.splitString "/" text)
  );

  # A rate or a timetable of rates, as rclone's --bwlimit takes it.
  bandwidthLimit =
    let
      rate = "(off|[0-9][0-9.]*[kKmMgGtTpPeE]*([bBiI]|[iI][bB])?)";
      entry = "([A-Za-z0-9-]*[:][A-Za-z0-9:-]*,)?${rate}(:${rate})?";
    in
    matching ''rate such as 10M, or a timetable such as "08:00,512k 19:00,off"'' " *${entry}( +${entry})* *";

  # One plain address: a line break would add headers to the mail, a comma more recipients, and a
  # leading dash is an option of sendmail.
  mailAddress =
    let
      plain = "!#$%&'*+./0-9=?A-Z^_`a-z{|}~";
    in
    matching "mail address in ASCII, without a name" "[${plain}][-${plain}]*@[-${plain}]+";

  # Without a user name, which would be shown, and without "#", which no server gets.
  url =
    let
      host = "([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+])";
      rest = "[]!$-;=?@A-Z[^_a-z{|}~]*";
    in
    matching "address that starts with http:// or https://, without user name and #" "https?://${host}(:0*[1-9][0-9]{0,4})?([/?]${rest})?";

  topic = matching "ntfy topic: 1 to 64 letters, digits, - and _" "[A-Za-z0-9_-]{1,64}";

  byFormat = {
    "absolute-path" = absolutePath;
    "drill-check" = drillCheck;
    "time-span" = span;
    "time-of-day" = timeOfDay;
    "calendar-expression" = calendar;
    inherit subset;
    "max-delete" = maxDelete;
    uint32 = types.ints.u32;
  };

  # The type of a key as schema.nix reads it.
  ofKey =
    key:
    let
      type =
        if key.choices != null then
          types.enum key.choices
        else if key.format != null then
          byFormat.${key.format}
        else
          {
            boolean = types.bool;
            string = types.str;
            array = types.listOf (ofKey key.item);
          }
          .${lib.head key.kinds};
    in
    if key.nullable then types.nullOr type else type;
}
