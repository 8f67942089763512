# What this system says that it keeps, each with the option that says it. Nothing is asked of options
# that this system lacks, so that modules of others may be there or not.
{
  config,
  options,
  lib,
  # The folder of the dumps.
  folder,
}:

let
  inherit (lib)
    attrByPath
    concatLists
    concatMap
    elem
    filter
    filterAttrs
    hasPrefix
    head
    isAttrs
    isList
    isString
    mapAttrsToList
    optional
    optionals
    splitString
    ;

  cfg = config.hwc.system.services.backup.state;

  # A value, or this one where it throws: an option that was removed, or never set. Not all that is in
  # it: packages take long.
  attempt =
    otherwise: value:
    let
      tried = builtins.tryEval value;
    in
    if tried.success then tried.value else otherwise;

  # The same of a list of texts.
  attemptAll =
    value:
    let
      tried = builtins.tryEval (builtins.deepSeq value value);
    in
    if tried.success then tried.value else [ ];

  # As an option is written in a configuration.
  dotted = lib.concatMapStringsSep "." (
    name:
    if builtins.match "[A-Za-z_][A-Za-z0-9_'-]*" name != null then name else builtins.toJSON name
  );

  entry = kind: from: path: { inherit kind from path; };

  # What no backup needs, or what is made anew from the configuration.
  isState =
    path:
    isString path
    && builtins.match "/.*" path != null
    && builtins.match "/(.*/)?[.][.]?(/.*)?" path == null
    && !elem (lib.removeSuffix "/" path) [
      ""
      "/home"
      "/root"
      "/srv"
      "/usr"
      "/var"
      "/var/backup"
      "/var/lib"
      "/var/lib/private"
      "/var/spool"
    ]
    && !lib.any (start: hasPrefix "${start}/" "${path}/") [
      "/bin"
      "/boot"
      "/dev"
      "/etc"
      "/nix"
      "/proc"
      "/run"
      "/sys"
      "/tmp"
      "/usr"
      "/var/cache"
      "/var/empty"
      "/var/lib/backup"
      "/var/lib/systemd"
      "/var/lock"
      "/var/log"
      "/var/run"
      "/var/tmp"
      folder
    ];

  words =
    value:
    if isList value then
      concatMap words value
    else
      filter (word: word != "") (splitString " " (toString value));

  isTrue =
    value:
    elem value [
      true
      "1"
      "on"
      "t"
      "true"
      "y"
      "yes"
    ];

  # StateDirectory= of one service (systemd.exec(5)): below /var/lib, or below its folder `private` for
  # a user of the moment; what is behind a colon is a link to it.
  directoriesOf =
    name: service:
    let
      given = attempt { } service.serviceConfig;
      at = splitString "@" name;
      instance = lib.concatStringsSep "@" (lib.tail at);
      expand = lib.replaceStrings
        ([ "%%" "%n" "%N" "%p" ] ++ optional (instance != "") "%i")
        ([ "%" "${name}.service" name (head at) ] ++ optional (instance != "") instance);
      # A template says nothing of its instances.
      isTemplate = lib.length at > 1 && instance == "";
    in
    map (
      word:
      let
        directory = expand (head (splitString ":" word));
        dynamic = attempt false (isTrue (given.DynamicUser or false));
      in
      entry "service" "${dotted [ "systemd" "services" name ]}.serviceConfig.StateDirectory" (
        "/var/lib/${lib.optionalString dynamic "private/"}"
        + (if isTemplate then head (splitString ":" word) else directory)
      )
      // lib.optionalAttrs dynamic { link = "/var/lib/${directory}"; }
    ) (attemptAll (words (given.StateDirectory or [ ])));

  isForeign = name: name != "backup" && !hasPrefix "backup-" name;
  services = filterAttrs (
    name: service: isForeign name && attempt true (service.enable or true)
  ) config.systemd.services;

  stateDirectories = filter (found: isState found.path) (
    concatLists (mapAttrsToList directoriesOf services)
  );

  # The folder that a unit keeps its state in.
  stateOf =
    unit:
    let
      own = optionals (services ? ${unit}) (directoriesOf unit services.${unit});
    in
    if own == [ ] then "/var/lib/${unit}" else (head own).path;

  # Folders that options of enabled services name.
  folderOptions = [
    "configDir"
    "dataDir"
    "dataDirectory"
    "dataPath"
    "datadir"
    "home"
    "homeDir"
    "lfs.contentDir"
    "mailDirectory"
    "mediaDir"
    "mediaLocation"
    "repositoryRoot"
    "rootDir"
    "stateDir"
    "stateDirectory"
    "statePath"
    "storageDir"
    "storagePath"
    "uploadDir"
    "workDir"
  ];

  # An option that can be asked: renamed and removed ones are hidden, and asking those warns or fails.
  isAsked = option: lib.isOption option && (option.visible or true) == true;

  foldersNamed =
    path: value: has:
    concatMap (
      name:
      let
        at = splitString "." name;
        given = attempt null (attrByPath at null value);
        # Some of these are sets of files.
        found = if isString given || builtins.isPath given then given else null;
      in
      optional (has at && isState (attempt null (toString found))) (
        entry "service" (dotted (path ++ at)) (toString found)
      )
    ) folderOptions;

  # A service is an attribute set with `enable`; some stand in sets of their own, and some have instances.
  serviceFolders =
    depth: path: tree:
    concatLists (
      mapAttrsToList (
        name: node:
        let
          here = path ++ [ name ];
          value = lib.getAttrFromPath here config;
          isService = isAsked (node.enable or null);
        in
        if !isAttrs node || lib.isOption node then
          [ ]
        else if isService then
          optionals (attempt false (value.enable == true)) (
            foldersNamed here value (at: isAsked (attrByPath at null node)) ++ instancesOf here node
          )
        else
          instancesOf here node ++ optionals (depth > 0) (serviceFolders (depth - 1) here node)
      ) tree
    );

  # Options with a submodule for each name, such as services.redis.servers.
  instancesOf =
    path: node:
    concatLists (
      mapAttrsToList (
        name: option:
        let
          here = path ++ [ name ];
          many = attempt false (
            isAsked option && elem (option.type.name or "") [
              "attrsOf"
              "lazyAttrsOf"
            ] && (option.type.nestedTypes.elemType.name or "") == "submodule"
          );
          value = lib.getAttrFromPath here config;
          of =
            instance: given:
            optionals (attempt false (isAttrs given && (given.enable or true) == true)) (
              foldersNamed (here ++ [ instance ]) given (at: lib.hasAttrByPath at given)
            );
        in
        optionals many (concatLists (mapAttrsToList of (attempt { } (builtins.seq value value))))
      ) node
    );

  # Folders that are made at boot and never cleaned (tmpfiles.d(5)).
  isKept = type: builtins.match "[dqQv][!=~^$+-]*" type != null;
  tmpfiles =
    concatMap (
      rule:
      let
        given = words (lib.replaceStrings [ "\t" "\"" "'" ] [ " " "" "" ] rule);
        at = n: if lib.length given > n then lib.elemAt given n else "-";
      in
      optional (isKept (at 0) && at 5 == "-" && isState (at 1)) (
        entry "service" "systemd.tmpfiles.rules" (at 1)
      )
    ) (attemptAll config.systemd.tmpfiles.rules)
    ++ concatLists (
      mapAttrsToList (
        group: paths:
        concatLists (
          mapAttrsToList (
            path: types:
            let
              kept = filterAttrs (type: rule: isKept type && elem (rule.age or "-") [ "-" "" ]) types;
            in
            optional (isForeign group && kept != { } && isState path) (
              entry "service" (dotted [ "systemd" "tmpfiles" "settings" group path ]) path
            )
          ) paths
        )
      ) (attempt { } (config.systemd.tmpfiles.settings or { }))
    );

  users = attempt { } config.users.users;
  isOfPeople = user: attempt false (user.isNormalUser == true);
  homes = concatLists (
    mapAttrsToList (
      name: user:
      let
        home = attempt "" user.home;
      in
      optional (if isOfPeople user then home != "" && home != "/var/empty" else isState home) (
        entry (if isOfPeople user then "home" else "service") "${dotted [ "users" "users" name ]}.home" home
      )
    ) users
  );

  # Which user and group have which number: what is restored belongs to numbers.
  numbers = [ (entry "system" "users.users" "/var/lib/nixos") ];

  # impermanence and preservation: an entry is a path, or a set with one.
  pathOf =
    one: if isAttrs one then one.directory or one.dirPath or one.file or one.filePath or "" else toString one;
  persistentIn =
    option: root: kept:
    let
      from = what: "${dotted option}.${builtins.toJSON root}.${what}";
      each =
        what: start: given:
        let
          absolute = path: if hasPrefix "/" path then path else "${start}/${path}";
        in
        map (one: entry "persistence" (from what) (absolute (pathOf one))) (attemptAll given);
      homeOf = name: attempt "/home/${name}" (users.${name}.home or "/home/${name}");
    in
    optionals (attempt true (kept.enable or true)) (
      each "directories" "" (kept.directories or [ ])
      ++ each "files" "" (kept.files or [ ])
      ++ concatLists (
        mapAttrsToList (
          name: user:
          each "users.${name}.directories" (user.home or (homeOf name)) (user.directories or [ ])
          ++ each "users.${name}.files" (user.home or (homeOf name)) (user.files or [ ])
        ) (attempt { } (kept.users or { }))
      )
    );
  roots =
    mapAttrsToList (root: kept: {
      option = [ "environment" "persistence" ];
      at = attempt root (kept.persistentStoragePath or root);
      inherit kept root;
    }) (attempt { } (config.environment.persistence or { }))
    ++ optionals (attempt false (config.preservation.enable or false)) (
      mapAttrsToList (root: kept: {
        option = [ "preservation" "preserveAt" ];
        at = attempt root (kept.persistentStoragePath or root);
        inherit kept root;
      }) (attempt { } (config.preservation.preserveAt or { }))
    );
  persistent = concatMap (
    one: map (found: found // { at = one.at; }) (persistentIn one.option one.root one.kept)
  ) roots;

  # Volumes of containers. What is bound read-only is kept by who writes it.
  volumeStore =
    let
      podman = attempt "podman" (config.virtualisation.oci-containers.backend or "docker") == "podman";
      root = attempt "/var/lib/docker" (
        config.virtualisation.docker.daemon.settings.data-root or "/var/lib/docker"
      );
    in
    if podman then "/var/lib/containers/storage/volumes" else "${root}/volumes";
  ociVolumes = concatLists (
    mapAttrsToList (
      name: container:
      concatMap (
        volume:
        let
          given = splitString ":" volume;
          place = head given;
          readOnly = lib.length given > 2 && elem "ro" (splitString "," (lib.elemAt given 2));
          path = if hasPrefix "/" place then place else "${volumeStore}/${place}";
        in
        optional (lib.length given > 1 && !readOnly && isState path) (
          entry "container" "${dotted [ "virtualisation" "oci-containers" "containers" name ]}.volumes" path
        )
      ) (attemptAll (container.volumes or [ ]))
    ) (attempt { } (config.virtualisation.oci-containers.containers or { }))
  );
  containerStores =
    optional (attempt false (config.virtualisation.docker.enable or false)) (
      entry "container" "virtualisation.docker.enable" "${
        attempt "/var/lib/docker" (
          config.virtualisation.docker.daemon.settings.data-root or "/var/lib/docker"
        )
      }/volumes"
    )
    ++ optional (attempt false (config.virtualisation.podman.enable or false)) (
      entry "container" "virtualisation.podman.enable" "/var/lib/containers/storage/volumes"
    );
  nixosContainers =
    let
      isNew = lib.versionAtLeast (attempt "20.09" config.system.stateVersion) "22.05";
      root = if isNew then "/var/lib/nixos-containers" else "/var/lib/containers";
    in
    concatLists (
      mapAttrsToList (
        name: container:
        let
          from = dotted [ "containers" name ];
          binds = attempt { } (container.bindMounts or { });
          kept = filterAttrs (
            at: bind: attempt false (!(bind.isReadOnly or true) && isState (hostPathOf at bind))
          ) binds;
          hostPathOf = at: bind: if (bind.hostPath or null) == null then at else bind.hostPath;
        in
        optional (!(attempt false (container.ephemeral or false))) (entry "container" from "${root}/${name}")
        ++ mapAttrsToList (at: bind: entry "container" "${from}.bindMounts" (hostPathOf at bind)) kept
      ) (attempt { } (config.containers or { }))
    );

  certificates = optional (attempt { } (config.security.acme.certs or { }) != { }) (
    entry "certificates" "security.acme.certs" "/var/lib/acme"
  );

  hostKeys = optionals (attempt false (config.services.openssh.enable or false)) (
    concatMap (key: [
      (entry "keys" "services.openssh.hostKeys" key.path)
      (entry "keys" "services.openssh.hostKeys" "${key.path}.pub")
    ]) (attempt [ ] (config.services.openssh.hostKeys or [ ]))
  );

  known = concatLists (
    mapAttrsToList (
      option: paths:
      let
        at = splitString "." option;
        declared = attrByPath at null options;
      in
      optionals (isAsked declared && attempt false (attrByPath at false config == true)) (
        map (entry "service" option) paths
      )
    ) (import ./known.nix)
  );

  # Clan's services say which folders they keep, and what is to run before.
  clanState = attempt { } (config.clan.core.state or { });
  clan = concatLists (
    mapAttrsToList (
      name: given:
      map (entry "clan" "${dotted [ "clan" "core" "state" name ]}.folders") (
        attemptAll (given.folders or [ ])
      )
    ) clanState
  );
  # Where providers/clan.nix is imported it runs these itself.
  isProvided = attempt { } (config.clan.core.backups.providers or { }) ? backup;
  hooks = filter (hook: !isProvided && hook.lines != null && hook.lines != "") (
    mapAttrsToList (name: given: {
      from = "${dotted [ "clan" "core" "state" name ]}.preBackupScript";
      lines = attempt null (given.preBackupScript or null);
    }) clanState
  );

  postgresql =
    let
      given = config.services.postgresql;
      port = given.settings.port or given.port or 5432;
    in
    optional (attempt false (config.services.postgresql.enable or false)) (
      entry "database" "services.postgresql.dataDir" (toString given.dataDir)
      // {
        claims = [
          "/var/lib/postgresql"
          (toString given.dataDir)
        ];
        database = {
          engine = "postgresql";
          dump = "${folder}/postgresql.sql";
          port = attempt 5432 port;
          user = attempt "postgres" (given.superUser or "postgres");
        };
      }
    );

  mysql =
    let
      given = config.services.mysql;
    in
    optional (attempt false (config.services.mysql.enable or false)) (
      entry "database" "services.mysql.dataDir" (toString given.dataDir)
      // {
        claims = [
          "/var/lib/mysql"
          (toString given.dataDir)
        ];
        database = {
          engine = "mysql";
          dump = "${folder}/mysql.sql";
        };
      }
    );

  sqliteFile =
    from: required: path:
    entry "database" from path
    // {
      database = {
        engine = "sqlite";
        dump = "${folder}/sqlite${path}";
        inherit required;
      };
    };
  sqliteOf =
    name: files:
    let
      declared = options.services.${name} or null;
      given = config.services.${name};
    in
    optionals
      (
        isAttrs declared
        && !lib.isOption declared
        && isAsked (declared.enable or null)
        && attempt false (given.enable == true)
      )
      (
        map (sqliteFile "services.${name}" false) (
          filter isState (attemptAll (map toString (files given)))
        )
      );
  sqlite =
    concatLists (mapAttrsToList sqliteOf (import ./sqlite.nix { state = stateOf; }))
    ++ map (sqliteFile "hwc.system.services.backup.state.sqlite" true) cfg.sqlite;

  binds = filter (one: elem "bind" (attempt [ ] one.options)) (
    builtins.attrValues config.fileSystems
  );
in
{
  found = filter (found: hasPrefix "/" found.path) (
    stateDirectories
    ++ serviceFolders 1 [ "services" ] (options.services or { })
    ++ tmpfiles
    ++ homes
    ++ numbers
    ++ persistent
    ++ ociVolumes
    ++ containerStores
    ++ nixosContainers
    ++ certificates
    ++ hostKeys
    ++ known
    ++ clan
    ++ postgresql
    ++ mysql
    ++ sqlite
  );

  # What is to run before, beside the dumps.
  inherit hooks;

  # Where other file systems begin, and what is mounted from where.
  mounts =
    filter (path: path != "/") (
      map (one: one.mountPoint) (builtins.attrValues config.fileSystems)
    )
    ++ map (one: one.path) persistent;
  stored =
    map (one: {
      at = one.path;
      is = one.at + one.path;
    }) persistent
    ++ concatMap (
      one:
      let
        device = attempt null (one.device or null);
      in
      optional (isString device && hasPrefix "/" device) {
        at = one.mountPoint;
        is = device;
      }
    ) binds;
}
