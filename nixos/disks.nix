# The named destinations that are used and are disks, each as the options would be if it were the only one: so
# what is made for `local` is made for each of them. The program has the same (schema/src/config/view.rs).
# Plain `builtins`.
# hwc.system.services.backup
cfg:

let
  inherit (builtins)
    attrNames
    elem
    filter
    intersectAttrs
    listToAttrs
    removeAttrs
    ;

  destinations = cfg.destinations or { };

  given = set: removeAttrs set (filter (key: set.${key} == null) (attrNames set));

  used = filter (name: destinations.${name}.enable && destinations.${name}.type == "disk") (
    attrNames destinations
  );

  view =
    of:
    cfg
    // {
      destinations = { };
      local =
        cfg.local
        // intersectAttrs cfg.local (given of)
        // {
          inherit (of) fileSystemUUID;
          optionalSources =
            if of.sources == null then
              cfg.local.optionalSources
            else
              filter (path: elem path of.sources) cfg.local.optionalSources;
        };
      cloud = cfg.cloud // {
        enable = false;
        configFile = null;
      };
      schedule = cfg.schedule // (if of.schedule == null then { } else given of.schedule);
    };
in
listToAttrs (
  map (name: {
    inherit name;
    value = view destinations.${name};
  }) used
)
