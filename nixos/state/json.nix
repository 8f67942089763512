# /etc/backup/state.json: what the program shows (schema/src/state.rs). Plain `builtins`.
{
  # As table.nix makes it.
  table,
  folder,
  enable,
}:

{
  version = 1;
  enabled = enable;
  dumpFolder = folder;
  paths = map (
    row:
    {
      inherit (row) path kind from;
    }
    // (if row.link == null then { } else { inherit (row) link; })
    // (
      let
        elsewhere = builtins.tail (table.places row.path);
      in
      if elsewhere == [ ] then { } else { stored = elsewhere; }
    )
    // (
      if row.database == null then
        { }
      else
        {
          database = {
            inherit (row.database) engine;
          }
          // (if row.standing == "dumped" then { inherit (row.database) dump; } else { });
        }
    )
    // (if row.standing == "ignored" then { ignored = row.by; } else { })
  ) table.rows;
}
