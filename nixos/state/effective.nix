# The options with what `state.enable` adds to them. Plain `builtins`.
cfg:

let
  derived = cfg.state.derived;
in
if !(cfg.state.enable or false) then
  cfg
else
  cfg
  // {
    local = cfg.local // {
      inherit (derived) sources excludePatterns;
      # One that a folder holds which is added is no source any more.
      optionalSources =
        builtins.filter (
          path: builtins.elem path derived.sources || !(builtins.elem path cfg.local.sources)
        ) cfg.local.optionalSources
        ++ derived.optionalSources;
    };
    preBackupScript =
      if derived.dump == null then
        cfg.preBackupScript
      else
        derived.dump + "\n" + (if cfg.preBackupScript == null then "" else cfg.preBackupScript);
  }
