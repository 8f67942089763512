# The named destinations that are used and are remotes, each as the options would be if it were the only one: its
# unit is that of `cloud`. The program has the same (schema/src/config/view.rs). Plain `builtins`.
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

  used = filter (name: destinations.${name}.enable && destinations.${name}.type == "remote") (
    attrNames destinations
  );

  view =
    of:
    cfg
    // {
      destinations = { };
      local = cfg.local // {
        enable = false;
        sources = if of.sources == null then cfg.local.sources else of.sources;
        excludePatterns =
          if of.excludePatterns == null then cfg.local.excludePatterns else of.excludePatterns;
        optionalSources =
          if of.sources == null then
            cfg.local.optionalSources
          else
            filter (path: elem path of.sources) cfg.local.optionalSources;
      };
      cloud =
        cfg.cloud
        // intersectAttrs cfg.cloud of
        // {
          enable = true;
          provider = "custom";
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
