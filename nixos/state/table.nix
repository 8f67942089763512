# What is found, against what is backed up: a table with a row for each path, and the sources to add.
# Plain `builtins`, so that a bare Nix can test it.
{
  # What was found (found.nix): { path, from, kind, database ? null, claims ? [ ], link ? null }.
  found,
  # local.sources, local.optionalSources, local.excludePatterns, local.oneFileSystem.
  sources,
  optionalSources ? [ ],
  excludePatterns ? [ ],
  oneFileSystem ? true,
  # state.*
  enable ? true,
  databases ? "dump",
  ignore ? [ ],
  # Where other file systems begin.
  mounts ? [ ],
  # Paths that are stored at another: { at, is }, such as bind mounts.
  stored ? [ ],
  # The folder of the dumps.
  folder ? "/var/backup/databases",
}:

let
  inherit (builtins)
    any
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    groupBy
    head
    isString
    length
    lessThan
    map
    match
    replaceStrings
    sort
    split
    stringLength
    substring
    ;

  parts = filter (part: isString part && part != "");
  # As local.sources spells it.
  spell = path: "/" + concatStringsSep "/" (parts (split "/" path));
  startsWith = start: text: substring 0 (stringLength start) text == start;
  # Whether a path is another one or below it.
  isWithin = outer: path: outer == "/" || path == outer || startsWith (outer + "/") path;
  isBelow = outer: path: path != outer && isWithin outer path;
  unique = foldl' (seen: one: if elem one seen then seen else seen ++ [ one ]) [ ];
  first = list: if list == [ ] then null else head list;

  # A source stops where another file system begins.
  holds =
    source: path:
    isWithin source path
    && !(oneFileSystem && any (mount: isBelow source mount && isWithin mount path) mounts);

  # Where a path is stored as well: itself, and where it is mounted from.
  places =
    path:
    [ path ]
    ++ concatMap (
      one:
      if isWithin one.at path then
        [ (one.is + substring (stringLength one.at) (-1) path) ]
      else
        [ ]
    ) stored;

  # The first of some sources that holds a path.
  holder = some: path: first (filter (source: any (holds source) (places path)) some);

  # What is excluded: a name at any depth, or a path in full; other patterns are the program's to judge.
  asRegex =
    text:
    replaceStrings
      [ "." "+" "(" ")" "{" "}" "^" "$" "|" "\\" "**" "*" "?" ]
      [ "\\." "\\+" "\\(" "\\)" "[{]" "[}]" "\\^" "\\$" "\\|" "\\\\" ".*" "[^/]*" "[^/]" ]
      text;
  # Of a pattern with brackets or backslashes nothing is said here.
  regexOf =
    pattern:
    let
      plain = match "(.*[^/])/*" pattern;
    in
    if plain == null || match ".*[[\\].*" pattern != null then null else asRegex (head plain);
  matchesPath =
    pattern: path:
    regexOf pattern != null && match "${regexOf pattern}(/.*)?" path != null;
  excluder =
    source: path:
    let
      within = parts (split "/" (substring (stringLength source) (-1) path));
      below = "/" + concatStringsSep "/" within;
      matches =
        pattern:
        if startsWith "/" pattern then
          # What is around a source leaves nothing of it out.
          matchesPath pattern below || (matchesPath pattern path && !(matchesPath pattern source))
        else
          matchesPath "**/${pattern}" below;
    in
    if within == [ ] then null else first (filter matches excludePatterns);
  # What a pattern leaves out by its full path is no source of its own, which no pattern would leave out.
  excludedInFull =
    path: first (filter (pattern: startsWith "/" pattern && matchesPath pattern path) excludePatterns);

  isKnown = path: match ".*%.*" path == null;
  ignored = path: first (filter (one: isWithin one path) ignore);

  databaseRows = filter (one: (one.database or null) != null) found;
  servers = filter (one: one.database.engine != "sqlite") databaseRows;
  # A server's folder is found in several ways; it is one row.
  claimed =
    one:
    let
      of = filter (server: any (claim: isWithin claim one.path) (server.claims or [ ])) servers;
    in
    if of == [ ] then one else (head of) // { inherit (one) from; };

  merge =
    rows:
    let
      databases' = filter (one: (one.database or null) != null) rows;
      some = head (databases' ++ rows);
    in
    {
      inherit (some) path kind;
      from = unique (sort lessThan (map (one: one.from) rows));
      database = some.database or null;
      link = first (filter (link: link != null) (map (one: one.link or null) rows));
    };

  merged = map merge (
    attrValues (groupBy (one: one.path) (map (one: claimed (one // { path = spell one.path; })) found))
  );

  isDumped = row: row.database != null && databases == "dump";
  # A database is no source of its own unless its files are to be one.
  isWanted =
    row:
    isKnown row.path
    && ignored row.path == null
    && excludedInFull row.path == null
    && (row.database == null || databases == "files");

  missing = filter (row: isWanted row && holder sources row.path == null) merged;
  # The outermost ones.
  candidates = map (row: row.path) missing;
  outermost = filter (
    path: !any (other: isBelow other path && holds other path) candidates
  ) candidates;

  dumpsAny = any isDumped (filter (row: ignored row.path == null) merged);
  dumpFolder = if enable && dumpsAny && holder sources folder == null then [ folder ] else [ ];
  added = if enable then sort lessThan outermost else [ ];

  # One that an added folder holds is stored with it, and would be twice.
  heldIn = source: folder: isBelow folder source && holds folder source;
  own = filter (source: !any (heldIn source) added) sources;
  all = own ++ added ++ dumpFolder;

  # In a pattern these would be more than themselves.
  asPattern =
    path: replaceStrings [ "[" "*" "?" "\\" ] [ "[[]" "[*]" "[?]" "[\\\\]" ] path;
  leftOut = filter (path: any (source: isBelow source path && holds source path) added) ignore;

  standing =
    row:
    let
      by = holder all row.path;
      pattern = if by == null then excludedInFull row.path else excluder by row.path;
      dumpBy = holder all row.database.dump;
      dumpPattern = if dumpBy == null then null else excluder dumpBy row.database.dump;
    in
    if ignored row.path != null then
      {
        standing = "ignored";
        by = ignored row.path;
      }
    else if isDumped row && enable && dumpPattern != null then
      {
        standing = "excluded";
        by = dumpPattern;
      }
    else if isDumped row && enable then
      {
        standing = "dumped";
        by = row.database.dump;
      }
    else if pattern != null then
      {
        standing = "excluded";
        by = pattern;
      }
    else if by == null || !isKnown row.path then
      {
        standing = "missing";
        by = null;
      }
    else
      {
        standing = "source";
        inherit by;
      };

  rows = map (row: row // standing row) (sort (a: b: a.path < b.path) merged);
  lost = filter (row: elem row.standing [ "missing" "excluded" ]) rows;
in
{
  inherit
    added
    lost
    places
    rows
    ;
  # local.sources, local.optionalSources and local.excludePatterns as they become.
  sources = all;
  # One that holds what has to be there has to be there.
  optionalSources = filter (
    path: !any (source: heldIn source path && !elem source optionalSources) sources
  ) added;
  excludePatterns = excludePatterns ++ (map asPattern leftOut);

  # The databases to write out.
  dumps =
    if enable then
      filter (row: row.standing == "dumped") rows
    else
      [ ];

  # One warning for all, or none.
  warning =
    let
      line =
        row:
        "  ${row.path} (${concatStringsSep ", " row.from})"
        + (if row.standing == "excluded" then ": left out by the pattern ${row.by}" else "");
      count = length lost;
    in
    if lost == [ ] then
      null
    else
      ''
        hwc.system.services.backup.state: this system keeps state in ${toString count} ${
          if count == 1 then "path that is" else "paths that are"
        } in no backup:
        ${concatStringsSep "\n" (map line lost)}
        hint: ${
          if enable then
            "add what matters to local.sources"
          else
            "set state.enable to true, or add what matters to local.sources"
        }, and what may be lost to state.ignore'';
}
