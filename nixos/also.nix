# Sources and exclude patterns that other modules ask for, beside those that somebody has set or that are
# there by default: nobody's definition takes them away.
{ config, lib, ... }:

let
  inherit (config.hwc.system.services.backup) also;

  list =
    type: description:
    lib.mkOption {
      type = lib.types.listOf type;
      default = [ ];
      internal = true;
      inherit description;
    };

  # A second declaration of an option, which says only what becomes of its value.
  withMore = more: lib.mkOption { apply = value: lib.unique (value ++ more); };
in
{
  options.hwc.system.services.backup = {
    also.sources =
      list (import ./types.nix { inherit lib; }).absolutePath
        "Sources of other modules.";
    also.excludePatterns = list lib.types.str "Exclude patterns of other modules.";

    local.sources = withMore also.sources;
    local.excludePatterns = withMore also.excludePatterns;
  };
}
