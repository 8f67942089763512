# The script that writes databases out before a backup, as text; null where there is nothing to do.
# Plain `builtins`.
{
  # Rows of the table whose database is to be written out.
  dumps,
  # { from, script } of what else is to run before.
  hooks ? [ ],
  # The folder of the dumps.
  folder,
  # Folders of programs: what scripts call, and each server's own.
  path,
  servers ? { },
}:

let
  inherit (builtins)
    concatStringsSep
    head
    map
    replaceStrings
    ;

  word = text: "'" + replaceStrings [ "'" ] [ "'\\''" ] (toString text) + "'";
  line = words: concatStringsSep " " ([ (head words) ] ++ map word (builtins.tail words));

  one =
    row:
    let
      from = head row.from;
      name = builtins.substring (builtins.stringLength folder + 1) (-1) row.database.dump;
    in
    {
      postgresql = line [
        "dump_postgresql"
        from
        name
        servers.postgresql
        row.database.user
        row.database.port
      ];
      mysql = line [
        "dump_mysql"
        from
        name
        servers.mysql
      ];
      sqlite = line [
        "dump_sqlite"
        from
        name
        row.path
        (if row.database.required then "yes" else "no")
      ];
    }
    .${row.database.engine};

  hook = one: line [
    "run_hook"
    one.from
    one.script
  ];
in
if dumps == [ ] && hooks == [ ] then
  null
else
  concatStringsSep "\n" (
    [
      "export PATH=${word path}\${PATH:+:$PATH}"
      "folder=${word folder}"
      (builtins.readFile ../only-ours.sh)
      (builtins.readFile ./dump.sh)
    ]
    ++ map hook hooks
    ++ map one dumps
    ++ [
      "exit $failed"
      ""
    ]
  )
