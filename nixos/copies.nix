# How many copies there are of what is backed up, and what they lack of the 3-2-1 rule: what the program
# says (planner/src/copies.rs), said while the system is evaluated. Plain `builtins`.
# hwc.system.services.backup
cfg:

let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatStringsSep
    elem
    filter
    head
    length
    map
    stringLength
    substring
    ;

  destinations = cfg.destinations or { };
  # As in config.json, what is not said is what the program takes for it.
  policy = cfg.policy or "none";
  wanted = 3;

  named =
    type:
    filter (name: destinations.${name}.enable && destinations.${name}.type == type) (
      attrNames destinations
    );

  # `move` gives back the space of what is local, so that it is no copy of its own.
  localStays = cfg.local.enable && !(cfg.cloud.enable && cfg.cloud.syncMode == "move");
  names =
    (if localStays then [ "local" ] else [ ])
    ++ named "disk"
    ++ (if cfg.cloud.enable then [ "cloud" ] else [ ])
    ++ named "remote";

  isNamed = name: name != "local" && name != "cloud";
  isRemote = name: if isNamed name then destinations.${name}.type == "remote" else name == "cloud";
  isOffSite =
    name:
    let
      said = if isNamed name then destinations.${name}.offSite or null else null;
    in
    if said == null then isRemote name else said;
  isUndeletable = name: isNamed name && isRemote name && destinations.${name}.expire == "never";

  selection =
    name:
    let
      own = key: if isNamed name then destinations.${name}.${key} else null;
      given = key: if own key == null then cfg.local.${key} else own key;
    in
    {
      sources = given "sources";
      excludes = given "excludePatterns";
    };

  inside =
    path: folder:
    path == folder
    || folder == "/"
    || substring 0 (stringLength folder + 1) path == folder + "/";

  holds =
    one: other:
    all (path: any (own: inside path own) one.sources) other.sources
    && all (pattern: elem pattern other.excludes) one.excludes;

  # The lists of sources, each once.
  jobs =
    let
      add =
        known: one: if any (job: holds job one && holds one job) known then known else known ++ [ one ];
      found = builtins.foldl' add [ ] (map selection names);
    in
    if found == [ ] then [ (selection "local") ] else found;
  several = length jobs > 1;

  copies = map (
    job:
    let
      holding = filter (name: holds (selection name) job) names;
    in
    {
      inherit (job) sources;
      destinations = holding;
      count = length holding + 1;
      media = if any isRemote holding then 2 else 1;
      offSite = filter isOffSite holding;
      undeletable = filter isUndeletable holding;
    }
  ) jobs;

  plural = number: one: many: "${toString number} ${if number == 1 then one else many}";
  list = concatStringsSep ", ";

  describe =
    of:
    let
      media = if of.media == 1 then "one kind of medium" else "${toString of.media} kinds of medium";
      some = names: words: none: if names == [ ] then none else "${toString (length names)} ${words} (${list names})";
      line = "${plural of.count "copy" "copies"} with the original, on ${media}, ${
        some of.offSite "off site" "none off site"
      }, ${some of.undeletable "that this machine cannot delete" "none that this machine cannot delete"}";
      first = head of.sources;
      others = length of.sources - 1;
    in
    if !several || of.sources == [ ] then
      line
    else if others > 0 then
      "${first} and ${toString others} more: ${line}"
    else
      "${first}: ${line}";

  gap = problem: hint: { inherit problem hint; };

  addRemote = ''add a remote: destinations.<name> = { type = "remote"; remote = "…"; }'';

  gapsOf =
    of:
    let
      what =
        if several && of.destinations != [ ] then
          " of what `${head of.destinations}` backs up"
        else
          "";
      disks = filter isNamed of.destinations;
      remotes = filter isRemote disks;
    in
    (
      if of.count < wanted then
        [
          (gap
            "${plural of.count "copy" "copies"}${what} with the original, and ${toString wanted} are demanded"
            (
              if of.media == 1 then
                addRemote
              else
                ''add a disk: destinations.<name> = { type = "disk"; mountPoint = "…"; }''
            )
          )
        ]
      else
        [ ]
    )
    ++ (
      if of.media < 2 then
        [ (gap "all copies${what} are on disks, and two kinds of medium are demanded" addRemote) ]
      else
        [ ]
    )
    ++ (
      if of.offSite == [ ] then
        [
          (gap "no copy${what} is off site" (
            addRemote
            + (
              if disks == [ ] then
                ""
              else
                ", or set destinations.${head disks}.offSite to true if it is kept elsewhere"
            )
          ))
        ]
      else
        [ ]
    )
    ++ (
      if policy == "3-2-1-1-0" && of.undeletable == [ ] then
        [
          (gap "this machine can delete every copy${what}"
            "give a remote a key that may not delete, and set destinations.${
              if remotes == [ ] then "<name>" else head remotes
            }.expire to \"never\""
          )
        ]
      else
        [ ]
    );

  unread =
    (
      if !cfg.monitoring.enable || cfg.monitoring.verifySubset == null then
        [
          (gap "nothing reads the copies back"
            ''set monitoring.enable to true and monitoring.verifySubset to a share such as "1/30"''
          )
        ]
      else
        [ ]
    )
    ++ (
      if !cfg.monitoring.drill.enable then
        [ (gap "no trial restore is made" "set monitoring.drill.enable to true") ]
      else
        [ ]
    );
in
{
  lines = map describe copies;

  gaps =
    if policy == "none" then
      [ ]
    else
      concatLists (map gapsOf copies) ++ (if policy == "3-2-1-1-0" then unread else [ ]);
}
