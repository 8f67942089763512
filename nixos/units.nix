# The units as the program has them (units.json, which planner/src/units writes), filled in with
# facts. What systemd reads as one value is a default, which a configuration overrides by setting it,
# except for what a run cannot do without (mkForce for those); lists are added to. Plain `builtins`, so that a bare Nix tests them.
{
  # See unit-facts.nix.
  facts,
  mkDefault ? value: value,
}:

let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatMap
    elem
    filter
    groupBy
    head
    isString
    listToAttrs
    mapAttrs
    match
    removeAttrs
    replaceStrings
    ;

  data = builtins.fromJSON (builtins.readFile ./units.json);

  # Of each named destination, by its name.
  ofNamed = mapAttrs (
    _: own:
    import ./units.nix {
      facts = own;
      inherit mkDefault;
    }
  );
  disks = ofNamed facts.disks;
  remotes = ofNamed facts.remotes;

  # "!" stands before what must not hold.
  holds = all (
    condition:
    let
      negated = builtins.match "!(.*)" condition;
    in
    if negated == null then facts.conditions.${condition} else !facts.conditions.${head negated}
  );

  fill = fillWith { };
  fillWith =
    more:
    let
      texts = facts.texts // more;
    in
    replaceStrings (map (name: "\${${name}}") (attrNames texts)) (attrValues texts);

  # A text for each member of the list that it names; one where it names none.
  each =
    text:
    let
      named = filter (name: match ".*[$][{]${name}[}].*" text != null) (attrNames facts.lists);
      of = head named;
    in
    if named == [ ] then
      [ (written text) ]
    else
      map (member: fillWith { ${of} = member; } text) facts.lists.${of};

  # What holds of a line's values.
  values =
    line:
    concatMap (value: each (value.text or value)) (
      filter (value: isString value || holds value.when) (line.values or [ line.value ])
    );

  # systemd's booleans are those of Nix.
  written = text: { yes = true; no = false; }.${text} or (fill text);

  # Another value would leave out what a run owes, or where it remembers things.
  essential = [
    "Environment"
    "ExecStart"
    "ExecStopPost"
    "StateDirectory"
    "Type"
  ];

  section =
    lines:
    mapAttrs (
      key: same:
      if any (line: line ? list) same then
        concatMap values same
      else
        (if elem key essential then value: value else mkDefault) (head (concatMap values same))
    ) (groupBy (line: line.key) (filter (line: values line != [ ]) lines));

  unit =
    described:
    let
      about = section described.Unit;
    in
    {
      description = about.Description;
      documentation = about.Documentation;
      wants = about.Wants or [ ];
      after = about.After or [ ];
      wantedBy = (section (described.Install or [ ])).WantedBy or [ ];
      unitConfig = removeAttrs about [
        "Description"
        "Documentation"
        "Wants"
        "After"
      ];
    };

  # Each section as it is, a list where there may be several lines.
  sections = described: mapAttrs (_: section) (removeAttrs described [ "when" ]);

  # The units of a user, whose timers are those of the system.
  ofUser =
    suffix:
    listToAttrs (
      concatMap (
        name:
        let
          described = data.userUnits.${name} or data.units.${name};
          short = baseName suffix name;
          isTheirs = suffix == "timer" || data.userUnits ? ${name};
        in
        if short == null || !isTheirs then
          [ ]
        else
          [
            {
              name = short;
              value = {
                exists = holds described.when;
                sections = sections described;
              };
            }
          ]
      ) (attrNames data.units)
    );

  # The units of a kind by their names, each with whether there is such a unit.
  ofKind =
    from: suffix: config: sectionName:
    let
      names = filter (name: baseName suffix name != null) (attrNames from);
    in
    listToAttrs (
      map (
        name:
        let
          described = from.${name};
        in
        {
          name = baseName suffix (fill name);
          value = {
            exists = holds described.when;
            unit = unit described // {
              ${config} = section described.${sectionName};
            };
          };
        }
      ) names
    );

  # The name without its suffix, or null.
  baseName =
    suffix: name:
    let
      found = builtins.match "(.*)[.]${suffix}" name;
    in
    if found == null then null else head found;
  # What each of these has.
  ofEach = named: part: builtins.foldl' (all: own: all // own.${part}) { } (attrValues named);
in
{
  services =
    ofKind data.units "service" "serviceConfig" "Service"
    // ofEach disks "diskServices"
    // ofEach remotes "remoteServices";
  timers =
    ofKind data.units "timer" "timerConfig" "Timer"
    // ofEach disks "diskTimers"
    // ofEach remotes "diskTimers";

  # As the units of the named destination whose facts these are.
  diskServices = ofKind data.diskUnits "service" "serviceConfig" "Service";
  remoteServices = ofKind data.remoteUnits "service" "serviceConfig" "Service";
  # A remote's timer is a disk's.
  diskTimers = ofKind data.diskUnits "timer" "timerConfig" "Timer";
  ofUserDiskTimers = listToAttrs (
    map (name: {
      name = baseName "timer" (fill name);
      value = {
        exists = holds data.diskUnits.${name}.when;
        sections = sections data.diskUnits.${name};
      };
    }) (filter (name: baseName "timer" name != null) (attrNames data.diskUnits))
  );

  # The services of a user as those of the system: one for the whole run.
  restrictedServices = ofKind data.userUnits "service" "serviceConfig" "Service";

  ofUser = {
    services = ofUser "service";
    timers =
      ofUser "timer" // ofEach disks "ofUserDiskTimers" // ofEach remotes "ofUserDiskTimers";
  };

  # Asks for a deferred backup when AC power comes back. Empty where that does not count.
  udevRule = if holds data.udevRule.when then data.udevRule.text else "";
}
